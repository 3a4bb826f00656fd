/** Where NATS is and who we are. */
export interface NatsOptions {
  /** One or more URLs, as a list or with commas. The first that names a user does so for all. @defaultValue `nats://127.0.0.1:4222` */
  readonly servers?: string | readonly string[];
  /** The name of the connection in `nats server report connections`. @defaultValue `ergon` */
  readonly name?: string;
  /** Path of a `.creds` file (JWT and seed). */
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
    /** Starts TLS before the server sends its INFO, for servers with `handshake_first`. Default: false. */
    readonly handshakeFirst?: boolean;
  };
  /** The prefix of the inboxes, for users who may subscribe only to certain inboxes. @defaultValue `_INBOX` */
  readonly inboxPrefix?: string;
  /** How long to wait for a server that is not there yet. @defaultValue 0: one try */
  readonly waitMs?: number;
  /**
   * How often to ask the server whether it is there. One that has left two such questions without an answer counts as silent, and is left for another
   * server. Raise it where a connection is so slow that a large message takes seconds. @defaultValue 1,500
   */
  readonly pingMs?: number;
}
