import type { NatsConnection } from "@nats-io/nats-core";

/** The part of a socket that holds writes together. */
interface Corkable {
  cork(): void;
  uncork(): void;
}

interface Internals {
  readonly protocol?: { readonly transport?: { readonly socket?: Partial<Corkable> } };
}

/**
 * Sends what one turn of the event loop publishes in one write. nats.js writes at the end of each promise job, of which one chunk from the server
 * causes several; a fifth of a busy node's time went into those system calls. Where the socket is not to be had, nothing changes.
 */
export function coalesceWrites(connection: NatsConnection): () => void {
  const internals = connection as NatsConnection & Internals;
  let held: Corkable | undefined;
  const release = (): void => {
    held?.uncork();
    held = undefined;
  };
  return () => {
    if (held !== undefined) return;
    const socket = internals.protocol?.transport?.socket;
    if (socket?.cork === undefined || socket.uncork === undefined) return;
    held = socket as Corkable;
    held.cork();
    setImmediate(release);
  };
}
