import type { NatsConnection, ReconnectToServerHandler, Server } from "@nats-io/nats-core";

/** Which of the servers a connection is at. */
export interface Placement {
  /** The server's name; `undefined` while there is no connection. */
  readonly server: string | undefined;
  /** How many servers of the cluster are up and take clients. 1 where the servers do not advertise each other. */
  readonly servers: number;
  /** Leaves the server for another one. Requests in flight fail as at any loss of the connection. */
  move(): void;
  /** Calls `handler` when the connection is at another server, or when servers have come or gone. */
  onChange(handler: () => void): void;
}

/**
 * Which server to dial next: the one that was dialled the longest ago, so the one that has just been lost comes last, and of several that were never
 * dialled any, since nats.js shuffles them. Processes that lose one server so spread over the others. nats.js would dial the lost one first, and
 * a server that stands still takes the whole connect timeout.
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
 * Closes the socket of a connection whose server is silent. nats.js first waits until everything written has left, which never happens once the
 * buffers on the way to the silent server are full.
 */
export function dropSocket(connection: NatsConnection): void {
  (connection as Insides).protocol?.transport?.socket?.destroy?.();
}
