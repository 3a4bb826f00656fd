/** Header names and values of a message. Names are case-sensitive, as in NATS. */
export type Headers = Readonly<Record<string, string>>;

/** A message as it came in. Valid until its handler's next turn: copy `data` to keep it. */
export interface Message {
  readonly subject: string;
  readonly data: Uint8Array;
  /** Where an answer goes, if the sender wants one. */
  readonly reply: string | undefined;
  /** The header's value, or `undefined`. */
  header(name: string): string | undefined;
  /** All headers of the message. */
  headers(): Headers;
  /** The server's word that nobody serves the subject of a message whose reply-to this is (status 503). */
  readonly noResponders: boolean;
}
