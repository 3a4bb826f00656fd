/** One setting under its three names: key of the configuration file, flag, environment variables. */
export interface Setting {
  readonly key: string;
  readonly flag: string;
  /** The variables. The first one that is set and not empty counts. */
  readonly env: readonly string[];
  readonly summary: string;
  /** The commands that take the flag: every command, `dev`, `node` and `agent`, or `dev` and `node`. */
  readonly scope: "connection" | "service" | "node";
  /** Users may repeat the flag. */
  readonly repeated?: boolean;
  /** The flag and the variables name a file that holds the value. */
  readonly inFile?: boolean;
}

const connection = (key: string, flag: string, env: string, summary: string, more: Partial<Setting> = {}): Setting => ({
  key,
  flag,
  env: [`ERGON_NATS_${env}`, `NATS_${env}`],
  summary,
  scope: "connection",
  ...more,
});
const own = (scope: Setting["scope"], key: string, flag: string, env: string, summary: string): Setting => ({
  key,
  flag,
  env: [`ERGON_${env}`],
  summary,
  scope,
});

/** All settings. docs/operations.md prints this table, and a test compares them. */
export const settings: readonly Setting[] = [
  connection("nats.servers", "--nats <urls>", "URL", "URLs of the NATS servers, separated by commas"),
  connection("nats.credsFile", "--creds <file>", "CREDS", "credentials file (JWT and seed)"),
  connection("nats.nkeySeed", "--nkey <file>", "NKEY", "file that holds an nkey seed", { inFile: true }),
  connection("nats.user", "--user <name>", "USER", "user name"),
  connection("nats.password", "--password <password>", "PASSWORD", "password; better in the environment"),
  connection("nats.token", "--token <token>", "TOKEN", "token; better in the environment"),
  connection(
    "nats.tls.caFile",
    "--tls-ca <file>",
    "CA",
    "file of the certificates that the servers' certificates are checked against",
  ),
  connection("nats.tls.certFile", "--tls-cert <file>", "CERT", "file of the client certificate"),
  connection("nats.tls.keyFile", "--tls-key <file>", "KEY", "file of the client certificate's key"),
  connection("nats.tls.handshakeFirst", "--tls-first", "TLS_FIRST", "start TLS before the server sends its INFO"),
  connection("nats.inboxPrefix", "--inbox-prefix <subject>", "INBOX_PREFIX", "prefix of all inbox subjects"),
  own(
    "connection",
    "nats.pingMs",
    "--nats-ping <duration>",
    "NATS_PING",
    "interval of pings to the NATS server; after two without an answer, the process reconnects",
  ),
  own("connection", "namespace", "--namespace <name>", "NAMESPACE", "name of the namespace; namespaces share nothing"),
  own("connection", "prefix", "--prefix <name>", "PREFIX", "prefix of all subjects and buckets"),
  own(
    "service",
    "nats.waitMs",
    "--nats-wait <duration>",
    "NATS_WAIT",
    "how long a start waits for an unreachable NATS",
  ),
  own("service", "id", "--id <name>", "ID", "unique id of the node or agent; Ergon generates one when absent"),
  own("service", "drainMs", "--drain <duration>", "DRAIN", "how long a stop waits for pending work"),
  own("service", "log.level", "--log-level <level>", "LOG_LEVEL", "debug, info, warn, error or silent"),
  own("service", "log.format", "--log-format <format>", "LOG_FORMAT", "json, pretty, or auto: pretty on a terminal"),
  own(
    "node",
    "shards",
    "--shards <n>",
    "SHARDS",
    "number of shards, the units of ownership; fixed when the namespace is created",
  ),
  own(
    "node",
    "buckets",
    "--buckets <n>",
    "BUCKETS",
    "number of streams that hold the shards; fixed when the namespace is created",
  ),
  own("node", "replicas", "--replicas <n>", "REPLICAS", "copies of all stored data, each on another server"),
  own("node", "sessionTtlMs", "--session-ttl <duration>", "SESSION_TTL", "how long a silent node counts as alive"),
  own(
    "node",
    "commitMode",
    "--commit-mode <mode>",
    "COMMIT_MODE",
    "pipelined, grouped, or auto: the node measures at its start",
  ),
  own("node", "drivers", "--drivers <json>", "DRIVERS", 'limits and subjects of drivers: {"mail": {"limit": 10}}'),
  {
    ...own("node", "machines", "--machines <file>", "MACHINES", "a module that exports XState machines; repeatable"),
    repeated: true,
  },
];
