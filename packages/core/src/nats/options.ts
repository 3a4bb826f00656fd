/** The addresses of NATS and the credentials of the user. */
export interface NatsOptions {
  /** One or more URLs, as a list or with commas. The first URL that names a user does so for all. @defaultValue `nats://127.0.0.1:4222` */
  readonly servers?: string | readonly string[];
  /** The name of the connection in `nats server report connections`. @defaultValue `ergon` */
  readonly name?: string;
  /** The path of a `.creds` file (JWT and seed). */
  readonly credsFile?: string;
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** The seed of an nkey (`SU…`). */
  readonly nkeySeed?: string;
  readonly tls?: {
    readonly caFile?: string;
    readonly certFile?: string;
    readonly keyFile?: string;
    /** True starts TLS before the server sends its INFO, for servers with `handshake_first`. @defaultValue false */
    readonly handshakeFirst?: boolean;
  };
  /** The prefix of the inboxes, for users who may subscribe only to certain inboxes. @defaultValue `_INBOX` */
  readonly inboxPrefix?: string;
  /** The milliseconds to wait for a server that is not there yet. @defaultValue 0, which makes one try */
  readonly waitMs?: number;
  /**
   * The milliseconds between two pings. A server that leaves two pings without an answer counts as silent, and the connection moves to another
   * server. Use a larger value on a connection so slow that a large message takes seconds. @defaultValue 1,500
   */
  readonly pingMs?: number;
}
