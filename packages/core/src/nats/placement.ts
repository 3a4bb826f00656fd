import type { NatsConnection, ReconnectToServerHandler, Server } from "@nats-io/nats-core";

/** The server of a connection, among the servers of the cluster. */
export interface Placement {
  /** The server's name, or `undefined` while there is no connection. */
  readonly server: string | undefined;
  /** The number of servers of the cluster that are up and accept clients. It is 1 if the servers do not advertise each other. */
  readonly servers: number;
  /** Moves the connection to another server. Requests in flight fail as with any lost connection. */
  move(): void;
  /** Calls `handler` when the connection is at another server, or when the list of servers has changed. */
  onChange(handler: () => void): void;
}

/**
 * Chooses the next server to dial, which is the one that was dialled the longest ago. The server that was just lost therefore comes last. nats.js
 * shuffles servers that were never dialled, so processes that lose one server spread over the others. By itself, nats.js would dial the lost server
 * first, and a hung server takes the whole connect timeout.
 */
export const chooseServer: ReconnectToServerHandler = (pool) => {
  const [first, ...others] = pool;
  if (first === undefined) return null;
  return others.reduce<Server>((oldest, server) => (server.lastConnect < oldest.lastConnect ? server : oldest), first);
};

/** The parts of nats.js that hold the socket. */
interface Insides {
  readonly protocol?: { readonly transport?: { readonly socket?: { destroy?(): void } } };
}

/**
 * Closes the socket of a connection whose server is silent. nats.js would first wait until all writes have left, which never happens after the
 * buffers on the way to the server are full.
 */
export function dropSocket(connection: NatsConnection): void {
  (connection as Insides).protocol?.transport?.socket?.destroy?.();
}
