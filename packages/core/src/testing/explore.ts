import type { Machine } from "../actor/machine.ts";
import { messageOf } from "../base/errors.ts";
import type { StoredEvent } from "../machines/command.ts";
import { machineEngine } from "../machines/machine-engine.ts";
import { machineOf, machinesOf, type GivenMachine } from "./given-machine.ts";
import { ROOT, describeMove, make, movesFrom, type Answers, type Move } from "./moves.ts";
import { outcomeOf, textOf, type Outcome } from "./outcome.ts";
import { Crash, World, startOf, type WorldOptions } from "./world.ts";

export interface ExploreOptions {
  readonly input?: unknown;
  /** The machines that it starts as durable children. They run beside it. */
  readonly machines?: readonly GivenMachine[];
  /** The events that clients may send. The exploration sends each in every state that takes it. */
  readonly events?: readonly StoredEvent[];
  /** The possible answers of agents by driver, or a function that makes them from a payload. The exploration tries each of them. */
  readonly agents?: Readonly<Record<string, Answers>>;
  /** True if a client may cancel the instance in any state. @defaultValue false */
  readonly cancel?: boolean;
  /** The most moves of a path. {@link Exploration.cut} lists the paths that could continue after these. @defaultValue 20 */
  readonly depth?: number;
  /** The most states. A machine with more states is refused, because the exploration would take too long. @defaultValue 500 */
  readonly states?: number;
}

const DEPTH = 20;

/** The explored machine, and the machines that run beside it. */
interface Cast {
  readonly machine: Machine;
  readonly beside: readonly Machine[];
}

/** The result of an exploration. */
export interface Exploration {
  /** The number of different states of the instance and its children. */
  readonly states: number;
  /** The number of paths, which are the shortest path to each state and each move from there. */
  readonly paths: number;
  /** The number of runs, including all crashes and repetitions. */
  readonly runs: number;
  /** The ends that the machine can reach. There is at least one. */
  readonly ends: readonly Outcome[];
  /** The paths that stopped after `depth` moves, although they could continue. The states behind them were not explored. */
  readonly cut: readonly string[];
}

/** The disturbance of a path, which is a fault at one point of it, or the repetition of everything. */
type Disturbance =
  | { readonly kind: "none" }
  | { readonly kind: "crash"; readonly commit: number; readonly when: "before" | "after" }
  | { readonly kind: "crash at each step" }
  | { readonly kind: "repeated" }
  | { readonly kind: "late answers" };

interface Run {
  /** The end of the path. It is absent if the path could not continue. */
  readonly outcome?: Outcome;
  readonly error?: string;
  readonly commits: number;
  /** The number of the move in which the node died. The start is 0. */
  readonly diedIn?: number;
}

interface Way {
  readonly moves: readonly Move[];
  readonly clean: Run;
  /** True if the path has the greatest length and led to a new state that is no end. */
  readonly cut: boolean;
}

/** The error of a machine that ended differently after a crash, or after a repeated or late message, or that reached no end at all. */
export class ExplorationError extends Error {
  readonly violations: readonly string[];

  constructor(violations: readonly string[], looked: Pick<Exploration, "paths" | "runs">) {
    const shown = violations.slice(0, 3).join("\n\n");
    super(
      `${violations.length} of ${looked.runs} runs over ${looked.paths} paths did not end as they must.\n\n${shown}`,
    );
    this.name = "ExplorationError";
    this.violations = violations;
  }
}

/**
 * Tries every path of a machine on the durable engine (breadth first: the shortest path to each state, and each move from there). It repeats each path
 * with a crash before and after each commit, with a crash after each step, with every message and answer delivered twice, and with answers
 * that arrive when nobody waits any more. Throws `ExplorationError` if one of these runs ends otherwise than the undisturbed one: the machine then depends
 * on something outside of its record, such as a variable beside it, the time of day, or a random number. Throws it also if no path reaches an end.
 * Throws `InvalidError` (`INVALID_CONFIGURATION`) for a value that is no machine.
 */
export async function explore(machine: GivenMachine, options: ExploreOptions = {}): Promise<Exploration> {
  const cast = { machine: machineOf(machine, "machine"), beside: machinesOf(options.machines) };
  const ways = await waysOf(cast, options);
  const violations: string[] = [];
  const ends = new Map<string, Outcome>();
  let runs = ways.length;
  for (const { moves, clean } of ways) {
    if (clean.outcome === undefined) {
      violations.push(report(moves, { kind: "none" }, clean, undefined));
      continue;
    }
    if (clean.outcome[ROOT]?.status !== "running") ends.set(textOf(clean.outcome), clean.outcome);
    for (const disturbance of disturbancesOf(clean.commits)) {
      runs++;
      const run = await go(cast, options, moves, disturbance);
      if (run.outcome === undefined || textOf(run.outcome) !== textOf(clean.outcome))
        violations.push(report(moves, disturbance, run, clean.outcome));
    }
  }
  const states = new Set(ways.map(({ clean }) => textOf(clean.outcome))).size;
  const cut = ways.filter((way) => way.cut).map(({ moves }) => wayText(moves));
  if (ends.size === 0 && violations.length === 0) violations.push(noEnd(ways.length, cut, options));
  if (violations.length > 0) throw new ExplorationError(violations, { paths: ways.length, runs });
  return { states, paths: ways.length, runs, ends: [...ends.values()], cut };
}

/** The error for a machine that reached no end. Its exploration proves nothing. */
function noEnd(paths: number, cut: readonly string[], { depth = DEPTH }: ExploreOptions): string {
  const [first] = cut;
  return first === undefined
    ? `none of ${paths} paths came to an end: give the events and answers that lead to one, or \`cancel: true\``
    : `none of ${paths} paths came to an end, and ${cut.length} were cut after ${depth} moves: allow more with \`depth\`, or explore a part. The first of them: ${first}`;
}

function wayText(moves: readonly Move[]): string {
  return ["start", ...moves.map(describeMove)].join(", ");
}

async function waysOf(cast: Cast, options: ExploreOptions): Promise<Way[]> {
  const { depth = DEPTH, states = 500, events = [], agents = {}, cancel = false } = options;
  const ways: Way[] = [];
  const seen = new Set<string>();
  const open: (readonly Move[])[] = [[]];
  for (let moves = open.shift(); moves !== undefined; moves = open.shift()) {
    const way = moves;
    let next: Move[] = [];
    let cut = false;
    const clean = await go(cast, options, way, { kind: "none" }, (world) => {
      const standing = textOf(outcomeOf(world));
      if (seen.has(standing)) return;
      const possible = movesFrom(world, { events, agents, cancel }, way.length);
      cut = way.length >= depth && possible.length > 0;
      if (cut) return;
      seen.add(standing);
      next = possible;
    });
    ways.push({ moves, clean, cut });
    if (seen.size > states)
      throw new Error(
        `explore: the machine has more than ${states} states; take fewer events or answers, or allow more with \`states\``,
      );
    for (const move of next) open.push([...moves, move]);
  }
  return ways;
}

function disturbancesOf(commits: number): Disturbance[] {
  const crashes = Array.from({ length: commits }, (_, index) => index + 1).flatMap((commit): Disturbance[] => [
    { kind: "crash", commit, when: "before" },
    { kind: "crash", commit, when: "after" },
  ]);
  return [...crashes, { kind: "crash at each step" }, { kind: "repeated" }, { kind: "late answers" }];
}

/** Runs one path. `look` receives the state at its end. */
async function go(
  cast: Cast,
  options: ExploreOptions,
  moves: readonly Move[],
  disturbance: Disturbance,
  look: (world: World) => void = () => undefined,
): Promise<Run> {
  const { machine } = cast;
  const world = new World(worldOptions(cast, disturbance));
  let diedIn: number | undefined;
  const dying = async (index: number, move: () => Promise<void>): Promise<void> => {
    try {
      await move();
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      diedIn = index;
      // A client without an answer repeats the move. Other kinds of senders know if the move was stored.
      if (machine.engine === machineEngine || error.when === "before") await move();
    }
  };
  try {
    const input = machine.engine === machineEngine ? startOf(options.input, world.clock.now()) : options.input;
    await dying(0, () => world.begin(ROOT, machine, input));
    for (const [index, move] of moves.entries()) {
      await dying(index + 1, () => make(world, move));
      if (disturbance.kind === "repeated" && machine.engine === machineEngine) await make(world, move);
    }
    if (disturbance.kind === "late answers")
      for (const move of moves) if (move.kind === "answer") await make(world, move);
    const outcome = outcomeOf(world);
    look(world);
    return { outcome, commits: world.commits, ...(diedIn === undefined ? {} : { diedIn }) };
  } catch (error) {
    return { error: messageOf(error), commits: world.commits, ...(diedIn === undefined ? {} : { diedIn }) };
  } finally {
    world.close();
  }
}

function worldOptions({ machine, beside }: Cast, disturbance: Disturbance): WorldOptions {
  const known = [machine, ...beside];
  switch (disturbance.kind) {
    case "crash":
      return {
        machines: known,
        crashAt: (commit) => (commit === disturbance.commit ? disturbance.when : undefined),
      };
    case "crash at each step":
      return { machines: known, reloadEachStep: true };
    case "repeated":
      return { machines: known, duplicateTells: true };
    default:
      return { machines: known };
  }
}

/** Formats one violation with its path, disturbance, expected end and actual end. */
function report(moves: readonly Move[], disturbance: Disturbance, run: Run, expected: Outcome | undefined): string {
  const steps = ["start", ...moves.map(describeMove)].map((text, index) => {
    const died = disturbance.kind === "crash" && run.diedIn === index;
    return `  ${index + 1}. ${text}${died ? `   <- the node died ${disturbance.when} commit ${disturbance.commit}` : ""}`;
  });
  const [wanted, got] = differing(expected, run.outcome);
  return [
    `with ${titleOf(disturbance)}:`,
    ...steps,
    ...(expected === undefined ? [] : [`expected: ${textOf(wanted)}`]),
    `got: ${run.outcome === undefined ? (run.error ?? "nothing") : textOf(got)}`,
  ].join("\n");
}

function titleOf({ kind }: Disturbance): string {
  return kind === "none" ? "nothing going wrong" : kind === "repeated" ? "everything delivered twice" : kind;
}

/** Returns only the instances that differ between two outcomes. */
function differing(a: Outcome = {}, b: Outcome = {}): [Outcome, Outcome] {
  const ids = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((id) => textOf(a[id]) !== textOf(b[id]));
  const only = (all: Outcome): Outcome => Object.fromEntries(Object.entries(all).filter(([id]) => ids.includes(id)));
  return [only(a), only(b)];
}
