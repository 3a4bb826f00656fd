import type { StoredEvent } from "../command.ts";
import type { Ask, Heard } from "./ask.ts";

/** Starts a promise, a callback or an observable in the host's process. */
export interface LocalCommand {
  readonly type: "local";
  readonly run: () => void;
}

/** Publishes an event that the machine emitted. */
export interface EmittedCommand {
  readonly type: "emitted";
  readonly event: StoredEvent;
}

/** The result of a promise, a callback or an observable in the host's process. */
export interface LocalResult {
  readonly type: "ergon.local";
  readonly run: () => void;
}

/** A host that publishes what machines emit. */
export interface EmittedHost {
  publish(event: StoredEvent): void;
}

export const local: Ask<LocalCommand> = {
  type: "local",
  perform: (_, { run }) => run(),
  resumes: true,
};

export const emitted: Ask<EmittedCommand, EmittedHost> = {
  type: "emitted",
  perform: (host, { event }) => host.publish(event),
};

export const localResult: Heard<LocalResult> = {
  type: "ergon.local",
  hear: ({ at, actors }, { run }) => actors.turn(at, run),
};
