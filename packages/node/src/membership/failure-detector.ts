import { messageOf, type Subscription } from "@ergon/core";
import { JSON_TYPE, delay, encodeBody } from "@ergon/core/engine";

import { NO_BYTES, type NodeContext } from "../node-context.ts";
import type { Cluster } from "./cluster.ts";
import { probe } from "./proof-of-death.ts";

const PROBE_MS = 250;
const CONFIRM_MS = 100;
/** The time for which a node does not probe a new one, because its session may be known before its subject is. */
const GRACE_MS = 300;
const ROLL_MS = 1_000;

/**
 * Each node watches the next node in the ring. It asks on the next node's own subject, and two reports of the server that nobody is there prove the death. A
 * slow node only does not answer. The detector also calls the roll for the agents. It writes only if a node died.
 */
export class FailureDetector {
  readonly #context: NodeContext;
  readonly #cluster: Cluster;
  #subscription: Subscription | undefined;
  #probeTimer: unknown;
  #rollTimer: unknown;
  #stopped = false;

  constructor(context: NodeContext, cluster: Cluster) {
    this.#context = context;
    this.#cluster = cluster;
  }

  /** Makes this node answer for itself. Call it before the node's session opens, otherwise a witness could find the node dead. */
  listen(): void {
    const { ports, names, node } = this.#context;
    this.#subscription = ports.bus.subscribe(names.node(node), ({ reply }) => {
      if (reply !== undefined) ports.bus.publish(reply, NO_BYTES);
    });
  }

  start(): void {
    this.#probeLater();
    this.#callRoll();
  }

  stop(): void {
    this.#stopped = true;
    this.#context.clock.cancel(this.#probeTimer);
    this.#context.clock.cancel(this.#rollTimer);
    this.#roll("gone");
    this.#subscription?.unsubscribe();
  }

  #callRoll(): void {
    this.#roll("here");
    this.#rollTimer = this.#context.clock.after(ROLL_MS, () => {
      if (!this.#stopped) this.#callRoll();
    });
  }

  #roll(state: "here" | "gone", node = this.#context.node): void {
    const { ports, names } = this.#context;
    ports.bus.publish(names.roll, encodeBody({ node, state }, JSON_TYPE));
  }

  #probeLater(): void {
    this.#probeTimer = this.#context.clock.after(PROBE_MS, () => {
      if (this.#stopped) return;
      this.#probe()
        .catch((error: unknown) =>
          this.#context.logger.warn(
            { reason: messageOf(error) },
            "a node could not be probed; this node probes it again",
          ),
        )
        .finally(() => {
          if (!this.#stopped) this.#probeLater();
        });
    });
  }

  async #probe(): Promise<void> {
    const peer = this.#cluster.successor();
    if (peer === undefined || !this.#cluster.alive || this.#cluster.knownFor(peer) < GRACE_MS) return;
    if (!(await this.#isDead(peer))) return;
    await delay(this.#context.clock, CONFIRM_MS);
    if (this.#stopped || !(await this.#isDead(peer))) return;
    await this.#cluster.declareDead(peer);
    // Agents keep slots for the dead node, which other nodes can use at once.
    this.#roll("gone", peer);
  }

  async #isDead(peer: string): Promise<boolean> {
    const { ports, names } = this.#context;
    return (await probe(ports.bus, names.node(peer), PROBE_MS)) === "deserted";
  }
}
