/** What a child is told at its start, as JSON in its first argument. */
export interface ChildOptions {
  readonly name: string;
  readonly url: string;
  /** The folder whose files the agents read. */
  readonly folder: string;
  /** What a node removes when the job has died and nats-server after it. */
  readonly leftovers: { readonly folder: string; readonly serverPid: number };
}

/** From a child to the job. */
export type ChildMessage =
  | { readonly kind: "ready"; readonly id: string }
  | { readonly kind: "failed"; readonly reason: string }
  /** An agent has its answer to this task, and holds it back until it is told to go on. */
  | { readonly kind: "holding"; readonly task: string };

/** From the job to an agent. */
export interface GoOn {
  readonly task: string;
}

/** The driver that the agents serve. */
export const DRIVER = "digest";
/** The argument of a task whose answer is held back. */
export const HOLD = "hold";

export function readOptions(): ChildOptions {
  return JSON.parse(process.argv[2] ?? "") as ChildOptions;
}

export function tellJob(message: ChildMessage): void {
  process.send?.(message);
}

/**
 * Leaves Ctrl-C to the job, which a terminal sends it to as well; and calls `onOrphaned` when the job is gone, by `kill -9` too: its end
 * of the channel closes.
 */
export function followJob(onOrphaned: () => void): void {
  for (const signal of ["SIGINT", "SIGHUP", "SIGTERM"] as const) process.on(signal, () => undefined);
  process.on("disconnect", onOrphaned);
  // It may have died before anyone listened.
  if (!process.connected) onOrphaned();
}
