import {
  scheduleMachine,
  silentLogger,
  type ScheduleContext,
  type ScheduleEvent,
  type ScheduleSpec,
} from "@ergon/core";
import {
  isAlarm,
  isMachineState,
  machineEngine,
  type Ending,
  type MachineEvent,
  type MachineState,
  type Timer,
} from "@ergon/core/engine";

type Happening = MachineEvent extends infer E ? (E extends MachineEvent ? Omit<E, "at"> : never) : never;

/** A schedule on its engine, without a host: the test is the server's clock, and the node's. */
export class ScheduleSubject {
  state: MachineState;
  /** The server's time, and how far the node's clock is ahead of it. */
  now: number;
  skewMs = 0;
  /** Ids of the runs that it has started, and of those that it has told to stop, in order. */
  readonly started: { readonly id: string; readonly at: number }[] = [];
  readonly cancelled: string[] = [];
  readonly #keys = new Map<string, number>();
  #heard = 0;

  constructor(spec: ScheduleSpec, { id = "s", now }: { readonly id?: string; readonly now: number }) {
    this.now = now;
    const surroundings = { id, logger: silentLogger, onLocal: () => undefined };
    const input = { input: spec, at: now, retentionMs: 60_000, fingerprint: 1 };
    this.state = machineEngine.begin(scheduleMachine, input, now, surroundings).state as MachineState;
    this.#post();
  }

  get context(): ScheduleContext {
    return this.state.snapshot.context as ScheduleContext;
  }

  get place(): string {
    return this.state.snapshot.value as string;
  }

  /** The alarm that it waits for. */
  get alarm(): Timer | undefined {
    return this.state.timers.find(isAlarm);
  }

  /** The alarm goes off, so late. Answers whether there was one. */
  goOff(lateMs = 0): boolean {
    const { alarm } = this;
    if (alarm === undefined) return false;
    this.now = Math.max(this.now, alarm.due + lateMs);
    this.happen({ type: "ergon.timer", timer: alarm });
    return true;
  }

  send(event: ScheduleEvent): void {
    this.happen({ type: "ergon.event", event });
  }

  /** A run that has been started ends. */
  end(run: string, ending: Ending): void {
    const key = this.#keys.get(run) ?? 0;
    this.happen({ type: "ergon.told", from: run, tell: { seq: 1, to: "s", key, what: { kind: "ended", ending } } });
  }

  happen(happening: Happening): void {
    const at = Math.max(this.now + this.skewMs, this.state.meta.updatedAt);
    const { state } = machineEngine.step(scheduleMachine, this.state, { ...happening, at, chance: 0 });
    if (!isMachineState(state)) throw new Error("a schedule is an instance");
    this.state = state as MachineState;
    this.#post();
  }

  /** Takes what it wants to tell others, once. */
  #post(): void {
    for (const { seq, to, key, what } of this.state.meta.outbox) {
      if (seq <= this.#heard) continue;
      this.#heard = seq;
      if (what.kind === "start") {
        this.#keys.set(to, key);
        this.started.push({ id: to, at: this.now });
      } else if (what.kind === "stop") this.cancelled.push(to);
    }
  }
}
