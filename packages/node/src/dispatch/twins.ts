import { type AgentView } from "@ergon/core";
import { H, JSON_TYPE, encodeBody } from "@ergon/core/engine";

import type { NodeContext } from "../node-context.ts";
import type { AgentEntry } from "./agents-table.ts";

/** A beat of a former incarnation that was on its way when the next one began does not prove two living agents. */
const ON_ITS_WAY_MS = 500;
const TELL_AGAIN_MS = 60_000;
/** The time for which the node still shows readers that two agents had one id. */
const SHOWN_MS = 600_000;

/** Agents that live at the same time under one id, so that the server delivers each message to both. The younger agent stays. */
export class Twins {
  readonly #context: NodeContext;

  constructor(context: NodeContext) {
    this.#context = context;
  }

  /**
   * Takes a beat of another incarnation than the one that has the id's place. If two incarnations continue to beat, both live. The node tells the older one
   * to stop, which confirms it in its last beat. Returns whether the beat is from the younger one.
   */
  meet(entry: AgentEntry, other: AgentView, isReplaced: boolean): boolean {
    const now = this.#context.clock.monotonic();
    if (isReplaced) this.#tell(entry, other, now);
    if (other.state === "gone" || now - entry.since < ON_ITS_WAY_MS) return false;
    this.#tell(entry, other, now);
    const isYounger = ageOf(other) > ageOf(entry.view);
    const { names, ports } = this.#context;
    const { incarnation } = isYounger ? entry.view : other;
    ports.bus.publish(names.control(entry.id), encodeBody({ incarnation }, JSON_TYPE), {
      headers: { [H.event]: "replaced" },
    });
    return isYounger;
  }

  /** Describes an agent for readers. */
  viewOf({ view, twin }: AgentEntry): AgentView {
    if (twin === undefined || this.#context.clock.monotonic() - twin.seenAt > SHOWN_MS) return view;
    const { host, pid } = twin.view;
    return { ...view, twin: { host, pid } };
  }

  #tell(entry: AgentEntry, other: AgentView, now: number): void {
    const { twin, view } = entry;
    entry.twin = { view: other, seenAt: now, toldAt: twin?.toldAt ?? -Infinity };
    if (now - entry.twin.toldAt < TELL_AGAIN_MS) return;
    entry.twin.toldAt = now;
    this.#context.logger.warn(
      { agent: entry.id, host: view.host, pid: view.pid, otherHost: other.host, otherPid: other.pid },
      "two running agents have the same id; the older one is told to stop. Give every agent a unique id",
    );
  }
}

/** Orders the incarnations of one id in the same way on every node: by the start of each on its own clock, and between equals by chance. */
function ageOf({ startedAt = "", incarnation = "" }: AgentView): string {
  return `${startedAt} ${incarnation}`;
}
