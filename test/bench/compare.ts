import { execFile } from "node:child_process";
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";

import { root } from "../support/documents.ts";
import { median } from "./percentiles.ts";
import { progress } from "./progress.ts";

const run = promisify(execFile);

/** One figure of both versions, a value a round. */
interface Figure {
  readonly name: string;
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/**
 * Runs the bench of another commit and of this checkout in turn, and prints this one's figures as ratios to the other's. Each version runs its own bench, so
 * only figures that both know are compared.
 */
export async function compare(ref: string, rounds: number, options: readonly string[]): Promise<void> {
  const folder = await mkdtemp(path.join(tmpdir(), "ergon-compare-"));
  const other = path.join(folder, "ergon");
  const commit = await checkOut(ref, other);
  try {
    const before: ReadonlyMap<string, number>[] = [];
    const after: ReadonlyMap<string, number>[] = [];
    for (let round = 0; round < rounds; round++) {
      progress(`round ${round + 1} of ${rounds}`);
      // Whichever runs second finds the machine as the first has left it, so they take turns at that too.
      const order = round % 2 === 0 ? [other, root] : [root, other];
      for (const where of order) (where === root ? after : before).push(await figures(where, options));
    }
    print(`${ref} (${commit})`, both(before, after));
  } finally {
    await run("git", ["worktree", "remove", "--force", other], { cwd: root });
    await rm(folder, { recursive: true });
  }
}

/** The other version gets the packages and tools of this checkout; its bootstrap replaces them where its lock file differs. */
async function checkOut(ref: string, other: string): Promise<string> {
  await run("git", ["worktree", "add", "--detach", other, ref], { cwd: root });
  await cp(path.join(root, "node_modules"), path.join(other, "node_modules"), {
    recursive: true,
    verbatimSymlinks: true,
  });
  await symlink(path.join(root, ".ergon"), path.join(other, ".ergon"));
  const { stdout } = await run("git", ["rev-parse", "--short", "HEAD"], { cwd: other });
  return stdout.trim();
}

async function figures(where: string, options: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const { stdout } = await run(
    process.execPath,
    ["scripts/bootstrap.mjs", "test/bench/main.ts", "--json", ...options],
    { cwd: where, maxBuffer: 2 ** 26 },
  );
  const found = new Map<string, number>();
  const { results, steps } = JSON.parse(stdout.slice(stdout.indexOf("\n{") + 1)) as {
    results: readonly { setting: string }[];
    steps?: unknown;
  };
  collect(found, "steps", steps);
  for (const { setting, ...result } of results) collect(found, setting, result);
  return found;
}

/** Collects the numbers of an object by their paths. */
function collect(into: Map<string, number>, name: string, value: unknown): void {
  if (typeof value === "number") into.set(name, value);
  else if (typeof value === "object" && value !== null)
    for (const [key, inner] of Object.entries(value)) collect(into, `${name} ${key}`, inner);
}

function both(
  before: readonly ReadonlyMap<string, number>[],
  after: readonly ReadonlyMap<string, number>[],
): readonly Figure[] {
  const names = [...(before[0]?.keys() ?? [])].filter((name) => after[0]?.has(name) === true);
  const of = (all: readonly ReadonlyMap<string, number>[], name: string): number[] =>
    all.flatMap((each) => each.get(name) ?? []);
  return names.map((name) => ({ name, before: of(before, name), after: of(after, name) }));
}

function print(ref: string, all: readonly Figure[]): void {
  const width = Math.max(...all.map(({ name }) => name.length), 20) + 2;
  const lines = all.map(({ name, before, after }) => {
    const ratios = before.map((value, round) => (after[round] ?? Number.NaN) / value);
    const cells = [
      figure(median(before)),
      figure(median(after)),
      (median(after) / median(before)).toFixed(2),
      `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`,
    ];
    return name.padEnd(width) + cells.map((cell) => cell.padStart(16)).join("");
  });
  const head = ["median before", "median now", "ratio", "of single rounds"].map((cell) => cell.padStart(16)).join("");
  process.stdout.write(`compared with ${ref}\n\n${" ".repeat(width)}${head}\n${lines.join("\n")}\n`);
}

function figure(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}
