import type { Logger } from "./base/logger.ts";
import { type Client } from "./client/api.ts";
import { createClient, type ClientOptions } from "./client/client.ts";
import { createNatsBus } from "./nats/bus.ts";
import { connectNats } from "./nats/connection.ts";
import { type NatsOptions } from "./nats/options.ts";

export interface ConnectOptions extends Omit<ClientOptions, "bus" | "inboxPrefix"> {
  /** The servers and the credentials. @defaultValue `nats://127.0.0.1:4222` */
  readonly nats?: NatsOptions | undefined;
  /** Gets the events of the connection. @defaultValue none */
  readonly logger?: Logger | undefined;
}

/**
 * Connects to NATS, and creates a client on that connection. The client's `close` closes the connection. Throws `NATS_UNREACHABLE`, `NOT_PERMITTED` and
 * `SERVER_UNSUITABLE`. Once it has resolved, the connection comes back by itself, however long the server is away.
 *
 * @example
 * const client = await connect({ nats: { servers: "nats://127.0.0.1:4222" } });
 * const response = await client.run({ driver: "echo", payload: "hello" });
 * await client.close();
 */
export async function connect(options: ConnectOptions = {}): Promise<Client> {
  const { nats, logger, clock } = options;
  const link = await connectNats(
    { name: "ergon client", ...nats },
    { ...(clock === undefined ? {} : { clock }), ...(logger === undefined ? {} : { logger }) },
  );
  const client = createClient({ ...options, bus: createNatsBus(link), inboxPrefix: nats?.inboxPrefix });
  return {
    ...client,
    close: async () => {
      await client.close();
      await link.drain();
    },
  };
}
