import { planMachine, silentLogger, type PlanDefinition, type PlanFields, type StepDefinition } from "@ergon/core";
import {
  decodeRecord,
  createMachineRegistry,
  encodeRecord,
  type Command,
  type Ending,
  type MachineState,
  type Turn,
} from "@ergon/core/engine";
import fc from "fast-check";
import { expect, test } from "vitest";

const registry = createMachineRegistry([planMachine]);
const surroundings = { id: "p", logger: silentLogger, onLocal: (run: () => void) => run() };
const fault = { code: "BROKEN", message: "broken", retryable: false };

/** A plan on its engine alone: its tasks run where the test says so. After every step it is brought back from its record. */
class Subject {
  state: MachineState;
  /** What runs, by number. */
  readonly running = new Map<number, string>();
  /** Of these: what the plan has cancelled. */
  readonly cancelled = new Set<number>();
  /** Every task in the order of its start. */
  readonly started: string[] = [];
  readonly ended: string[] = [];
  most = 0;

  constructor(input: unknown) {
    const given = { input, at: 1, retentionMs: 1, fingerprint: 1 };
    this.state = this.#take(planMachine.engine.begin(planMachine, given, 1, surroundings));
  }

  end(key: number, ending: Ending): void {
    const name = this.running.get(key) ?? "";
    this.running.delete(key);
    if (ending.kind === "done") this.ended.push(name);
    this.#step({ type: "ergon.task", key, ending: this.cancelled.has(key) ? cancelledAfter(ending) : ending });
  }

  cancel(): void {
    this.#step({ type: "cancel", by: "test", reason: "enough" });
  }

  get status(): string {
    return this.state.meta.status;
  }

  view(): PlanFields {
    return planMachine.describe?.(this.state, []) as PlanFields;
  }

  statuses(): Map<string, string> {
    return new Map(this.view().steps.map(({ id, status }) => [id, status]));
  }

  #step(event: object): void {
    const timed = { at: 1, chance: 0, ...event } as never;
    this.state = this.#take(planMachine.engine.step(planMachine, this.state, timed));
  }

  #take({ state, effects }: Turn): MachineState {
    for (const { type, params } of effects) {
      const command = params as Command;
      if (type === "stop" && command.type === "stop") this.running.delete(command.key);
      if (command.type === "cancel") this.cancelled.add(command.key);
      if (command.type !== "task") continue;
      const name = JSON.parse(Buffer.from(command.spec.payload).toString()) as string;
      this.running.set(command.key, name);
      this.started.push(name);
    }
    const undos = [...this.running.values()].filter(isUndo).length;
    if (undos > 0 && undos < this.running.size) throw new Error("a compensation runs beside a step");
    this.most = Math.max(this.most, this.running.size);
    const record = decodeRecord(encodeRecord(planMachine, state), registry, surroundings);
    if (record.kind === "unreadable") throw new Error(record.reason);
    return record.state as MachineState;
  }
}

/** How a task ends that was cancelled: its agent has done the work all the same, or has stopped. */
function cancelledAfter(ending: Ending): Ending {
  const error = { code: "TASK_CANCELLED", message: "cancelled", retryable: false };
  return { kind: "error", error: ending.kind === "done" ? { ...error, done: true, output: ending.output } : error };
}

interface Drawn {
  readonly definition: PlanDefinition;
  readonly dependencies: ReadonlyMap<string, readonly string[]>;
  /** Steps whose tasks fail. */
  readonly failing: ReadonlySet<string>;
  readonly undoable: ReadonlySet<string>;
  readonly skipped: ReadonlySet<string>;
}

const drawnStep = fc.record({
  before: fc.array(fc.nat({ max: 30 }), { maxLength: 3 }),
  fails: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
  undoable: fc.boolean(),
  /** Its condition does not hold. */
  skipped: fc.integer({ min: 0, max: 7 }).map((n) => n === 0),
  place: fc.nat({ max: 1_000 }),
});
const drawnPlan: fc.Arbitrary<Drawn> = fc
  .record({
    steps: fc.array(drawnStep, { minLength: 1, maxLength: 12 }),
    mode: fc.constantFrom("sequence", "parallel", "graph"),
    limit: fc.integer({ min: 1, max: 4 }),
    onFailure: fc.constantFrom("stop", "continue"),
  })
  .map(({ steps: drawn, mode, limit, onFailure }) => {
    const dependencies = new Map(
      drawn.map(({ before }, index) => {
        if (mode === "sequence") return [`s${index}`, index === 0 ? [] : [`s${index - 1}`]];
        return [`s${index}`, mode === "graph" && index > 0 ? [...new Set(before.map((n) => `s${n % index}`))] : []];
      }),
    );
    const inOrder = drawn.map(({ undoable, skipped }, index): StepDefinition => {
      const id = `s${index}`;
      const undo = undoable ? { compensate: { driver: "work", payload: `undo ${id}` } } : {};
      const after = mode === "graph" ? { dependsOn: dependencies.get(id) ?? [] } : {};
      const when = skipped ? { when: { "==": [1, 2] } } : {};
      return { id, driver: "work", payload: id, ...undo, ...after, ...when };
    });
    // Steps of a graph may be written in any order.
    const placeOf = (step: StepDefinition): number => drawn[Number(step.id?.slice(1))]?.place ?? 0;
    const steps = mode === "graph" ? inOrder.toSorted((a, b) => placeOf(a) - placeOf(b)) : inOrder;
    const chosen = (of: (step: (typeof drawn)[number]) => boolean): ReadonlySet<string> =>
      new Set(drawn.flatMap((step, index) => (of(step) ? [`s${index}`] : [])));
    return {
      definition: { mode, steps, onFailure, ...(mode === "sequence" ? {} : { limit }) } as PlanDefinition,
      dependencies,
      failing: chosen(({ fails }) => fails),
      undoable: chosen(({ undoable }) => undoable),
      skipped: chosen(({ skipped }) => skipped),
    };
  });
/** Which of the running tasks ends next. */
const choices = fc.infiniteStream(fc.nat({ max: 1_000 }));

/** Ends tasks, in the order of chance, until nothing runs. */
function exhaust(subject: Subject, failing: ReadonlySet<string>, chance: Iterator<number>, steps = Infinity): void {
  for (let step = 0; step < steps && subject.running.size > 0; step++) {
    const keys = [...subject.running.keys()];
    const key = keys[(chance.next().value as number) % keys.length] as number;
    const stops = subject.cancelled.has(key) && (chance.next().value as number) % 2 === 0;
    const isFailing = stops || failing.has(subject.running.get(key) ?? "");
    subject.end(key, isFailing ? { kind: "error", error: fault } : { kind: "done", output: key });
  }
}

const isUndo = (name: string): boolean => name.startsWith("undo ");

/** The steps that a plan must undo: those that are done and can be, the last first. */
function undoing({ ended }: Subject, { undoable }: Drawn): string[] {
  return ended
    .filter((name) => undoable.has(name))
    .toReversed()
    .map((name) => `undo ${name}`);
}

/** What runs although something that it waits for has not succeeded. */
function startedEarly({ running, ended }: Subject, { definition, dependencies, skipped }: Drawn): string[] {
  if (definition.mode !== "graph" && definition.onFailure !== "stop") return [];
  return [...running.values()].filter((name) =>
    dependencies.get(name)?.some((before) => !ended.includes(before) && !skipped.has(before)),
  );
}

test("every plan ends, starts nothing twice or too early, keeps to its limit, and undoes what it must, whatever fails and in whatever order tasks end (B-40, B-41, B-42, B-67)", () => {
  fc.assert(
    fc.property(drawnPlan, choices, (drawn, stream) => {
      const { definition, failing } = drawn;
      const subject = new Subject(definition);
      const chance = stream[Symbol.iterator]();
      while (subject.running.size > 0) {
        expect(startedEarly(subject, drawn)).toEqual([]);
        exhaust(subject, failing, chance, 1);
      }

      const steps = subject.started.filter((name) => !isUndo(name));
      const hasFailed = steps.some((name) => failing.has(name));
      expect(subject.status).toBe(hasFailed ? "failed" : "succeeded");
      expect([...subject.statuses().values()].filter((status) => status === "waiting" || status === "running")).toEqual(
        [],
      );
      expect(new Set(subject.started).size).toBe(subject.started.length);
      expect(subject.most).toBeLessThanOrEqual(definition.limit ?? 1);
      const isUndone = hasFailed && definition.onFailure === "stop";
      expect(subject.started.filter(isUndo)).toEqual(isUndone ? undoing(subject, drawn) : []);
    }),
  );
});

test("whenever a plan is cancelled, it undoes what is done, in reverse order, and is cancelled", () => {
  fc.assert(
    fc.property(drawnPlan, choices, fc.nat({ max: 12 }), (drawn, stream, after) => {
      const subject = new Subject(drawn.definition);
      const chance = stream[Symbol.iterator]();
      exhaust(subject, new Set(), chance, after);
      fc.pre(subject.status === "running");
      subject.cancel();
      subject.cancel();
      exhaust(subject, new Set(), chance);

      expect(subject.status).toBe("cancelled");
      expect(subject.started.filter(isUndo)).toEqual(undoing(subject, drawn));
    }),
  );
});

test("a compensation that fails ends the plan, which says what is left undone", () => {
  fc.assert(
    fc.property(drawnPlan, choices, fc.nat({ max: 12 }), fc.nat(), (drawn, stream, after, which) => {
      const subject = new Subject(drawn.definition);
      const chance = stream[Symbol.iterator]();
      exhaust(subject, new Set(), chance, after);
      fc.pre(subject.status === "running");
      subject.cancel();
      while ([...subject.running.values()].some((name) => !isUndo(name))) exhaust(subject, new Set(), chance, 1);
      const all = undoing(subject, drawn);
      fc.pre(all.length > 0);
      const broken = which % all.length;
      exhaust(subject, new Set([all[broken] ?? ""]), chance);

      expect(subject.status).toBe("failed");
      expect(subject.started.filter(isUndo)).toEqual(all.slice(0, broken + 1));
      expect(subject.view().undone?.map((id) => `undo ${id}`)).toEqual(all.slice(broken));
    }),
  );
});

test("a retry runs what has not succeeded, or was undone, and nothing else (B-69, M-25)", () => {
  fc.assert(
    fc.property(drawnPlan, choices, (drawn, stream) => {
      const chance = stream[Symbol.iterator]();
      const failed = new Subject(drawn.definition);
      exhaust(failed, drawn.failing, chance);
      fc.pre(failed.status === "failed");
      const kept = new Set([...failed.statuses()].flatMap(([id, status]) => (status === "succeeded" ? [id] : [])));

      const again = new Subject(planMachine.again?.(failed.state));
      exhaust(again, new Set(), chance);

      const all = drawn.definition.steps.map(({ id = "" }) => id);
      expect(again.status).toBe("succeeded");
      expect(new Set(again.started)).toEqual(new Set(all.filter((id) => !kept.has(id) && !drawn.skipped.has(id))));
      expect([...again.statuses()]).toEqual(all.map((id) => [id, drawn.skipped.has(id) ? "skipped" : "succeeded"]));
    }),
  );
});
