import { isInstance, isTerminal, type Client, type MachineView, type TaskView } from "@ergon/core";

import type { Session } from "./session.ts";

/** After this time, a waiting command prints the reason of its wait. */
const PATIENCE_MS = 2_000;

/** Waits for `waited`. Meanwhile it prints on standard error why the task or instance waits, first after 2 s, and then after each change. */
export async function sayingWhy<T>({ output }: Session, client: Client, id: string, waited: Promise<T>): Promise<T> {
  if (output.json) return waited;
  const over = new AbortController();
  const tell = async (): Promise<void> => {
    let told: string | undefined;
    for await (const view of client.watch(id, { signal: over.signal })) {
      const reason = reasonOf(view);
      if (reason !== undefined && reason !== told) output.note(`ergon: ${id} waits: ${reason}`);
      told = reason;
    }
  };
  // If this watch fails, the wait fails too, and reports the failure.
  const timer = setTimeout(() => void tell().catch(() => undefined), PATIENCE_MS);
  try {
    return await waited;
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

/** Returns the reason why a live task waits, or why the tasks wait that an instance waits for. */
export function reasonOf(view: TaskView | MachineView): string | undefined {
  if (isTerminal(view.status)) return undefined;
  if (!isInstance(view)) return view.reason;
  const reasons = new Set(view.children.flatMap(({ reason }) => (reason === undefined ? [] : [reason])));
  const [first, ...more] = reasons;
  return more.length === 0 ? first : `${first ?? ""} (and ${more.length} more)`;
}
