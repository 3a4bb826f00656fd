/** Header names and values of a message. Names are case-sensitive, as in NATS. */
export type Headers = Readonly<Record<string, string>>;

/** A received message. It is valid until its handler's next turn; copy `data` to keep it. */
export interface Message {
  readonly subject: string;
  readonly data: Uint8Array;
  /** The subject for an answer, if the sender wants one. */
  readonly reply: string | undefined;
  /** Returns the header's value, or `undefined`. */
  header(name: string): string | undefined;
  /** Returns all headers of the message. */
  headers(): Headers;
  /** True if the server reports that a message with this reply-to has no subscriber (status 503). */
  readonly noResponders: boolean;
}
