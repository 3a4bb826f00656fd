import { isErgonError, type Client, type InstanceEvent, type MachineView, type Until } from "@ergon/core";
import { isIn } from "@ergon/core/engine";
import { InvalidArgumentError } from "commander";

import { exitCodes } from "./exit-codes.ts";
import type { Output } from "./output.ts";
import type { Session } from "./session.ts";
import { reasonOf, sayingWhy } from "./waiting-reason.ts";

/** Parses the value of `--until`: `state:paid` or `tag:busy`. */
export function untilArgument(text: string): Until {
  const [, kind, name = ""] = /^(state|tag):(.+)$/.exec(text) ?? [];
  if (kind === undefined) throw new InvalidArgumentError("Write it like state:paid or tag:busy.");
  return kind === "state" ? { state: name } : { tag: name };
}

export interface UntilFlags {
  readonly eventId?: string | undefined;
  /** The state or tag, absent for the end. */
  readonly until?: Until | undefined;
  readonly timeout?: number | undefined;
}

/** Waits until an instance is in the expected state, after an event if there is one. Returns the instance then, or when the time is over. */
export async function reach(
  session: Session,
  client: Client,
  id: string,
  event: InstanceEvent | undefined,
  { eventId, until = {}, timeout: timeoutMs }: UntilFlags,
): Promise<MachineView> {
  const instance = client.instance(id);
  session.waitsFor = id;
  session.farewell = `ergon: ${id} continues; "ergon wait ${id}" waits for it`;
  if (event === undefined) return sayingWhy(session, client, id, instance.wait({ ...until, timeoutMs }));
  try {
    return await sayingWhy(session, client, id, instance.ask(event, { ...until, eventId, timeoutMs }));
  } catch (error) {
    if (!isErgonError(error) || error.code !== "REQUEST_TIMEOUT") throw error;
    return instance.get();
  }
}

/** Returns the exit code for an instance's state, and the reason if it is not the expected state. */
export function exitCodeOfUntil(output: Output, view: MachineView, { state, tag }: Until = {}): number {
  const { status } = view;
  const there = state === undefined ? tag !== undefined && view.stateTags.includes(tag) : isIn(view.value, state);
  if (there || (state === undefined && tag === undefined && status === "succeeded")) return exitCodes.done.code;
  const wanted = state === undefined ? (tag === undefined ? "at its end" : `where the tag ${tag} is`) : `in ${state}`;
  if (status === "running") {
    const reason = reasonOf(view);
    const stands = `${view.state}${reason === undefined ? "" : ` (${reason})`}`;
    output.note(`ergon: REQUEST_TIMEOUT: ${view.id} is not ${wanted} yet: it is in ${stands} and continues`);
    return exitCodes.timeout.code;
  }
  const why = view.failure === undefined ? (view.reason ?? status) : `${view.failure.code}: ${view.failure.message}`;
  output.note(`ergon: ${view.id} has ended, ${status}${status === why ? "" : `: ${why}`}`);
  return exitCodes.failed.code;
}
