import type { Verdict } from "./check.ts";
import type { Kill } from "./kills.ts";
import { shortName } from "./name.ts";
import type { Processes } from "./processes.ts";
import { count, counted, type View } from "./view.ts";
import type { Answer } from "./work.ts";

export interface Result {
  readonly names: readonly Buffer[];
  readonly answers: readonly (Answer | undefined)[];
  readonly verdicts: readonly Verdict[];
  /** What is wrong with what is stored. */
  readonly faults: readonly string[];
  readonly kills: readonly Kill[];
}

/** Lines of a list that a person still reads. */
const MOST_ROWS = 10;
const NAME_WIDTH = 60;

/** Prints the table and the totals. Answers whether everything is right. */
export function printSummary(view: View, processes: Processes, result: Result): boolean {
  const { names, answers, verdicts, faults } = result;
  const wrong = verdicts.filter(({ kind }) => kind === "wrong");
  const changed = verdicts.filter(({ kind }) => kind === "changed");
  const refused = verdicts.filter(({ index, kind }) => kind === "right" && answers[index]?.failure !== undefined);
  const isRight = wrong.length === 0 && faults.length === 0;

  view.line();
  printAgents(view, processes, result);
  view.line();
  printFiles(view, result, "Not readable, and answered so:", refused, ({ index }) => answers[index]?.failure?.message);
  printFiles(view, result, "Changed while the job ran, so that nobody can tell:", changed, ({ reason }) => reason);
  printFiles(view, result, "Wrong:", wrong, ({ reason }) => reason);
  printList(view, "Wrong in the store:", faults);

  const { bytes, lines } = totals(answers);
  view.line(`${counted(names.length, "file")}, ${size(bytes)}, ${counted(lines, "line")} (as wc -l counts)`);
  view.line(
    `${count(verdicts.length - wrong.length - changed.length)} right (SHA-256 and lines computed again), ${changed.length} changed, ${wrong.length} wrong`,
  );
  if (isRight) {
    view.line(view.style("green", "Every file was answered once. Every task has one record, none is left live."));
  } else {
    view.line(view.style("red", `Not everything is right: see above.`));
  }
  return isRight;
}

function printAgents(view: View, processes: Processes, { answers, kills }: Result): void {
  view.line(view.style("dim", "process   answered  lost"));
  for (const agent of processes.agents) {
    const answered = answers.filter((answer) => answer?.agent === agent.id).length;
    const lost = answers.reduce((sum, answer) => sum + (answer?.lostOn.filter((id) => id === agent.id).length ?? 0), 0);
    view.line(
      `${agent.name.padEnd(8)}${count(answered).padStart(10)}${count(lost).padStart(6)}${killNote(kills, agent.name)}`,
    );
  }
  for (const node of processes.nodes) view.line(`${node.name.padEnd(24)}${killNote(kills, node.name)}`.trimEnd());
}

function killNote(kills: readonly Kill[], name: string): string {
  const kill = kills.find(({ member }) => member.name === name);
  return kill === undefined ? "" : `  killed, recovered after ${kill.recoveredMs} ms`;
}

function printFiles<T extends Verdict>(
  view: View,
  { names }: Result,
  title: string,
  rows: readonly T[],
  reason: (row: T) => string | undefined,
): void {
  printList(
    view,
    title,
    rows.map((row) => `${shortName(names[row.index] ?? Buffer.alloc(0), NAME_WIDTH)}: ${reason(row) ?? ""}`),
  );
}

function printList(view: View, title: string, rows: readonly string[]): void {
  if (rows.length === 0) return;
  view.line(title);
  for (const row of rows.slice(0, MOST_ROWS)) view.line(`  ${row}`);
  if (rows.length > MOST_ROWS) view.line(`  and ${count(rows.length - MOST_ROWS)} more`);
}

function totals(answers: readonly (Answer | undefined)[]): { readonly bytes: number; readonly lines: number } {
  let bytes = 0;
  let lines = 0;
  for (const answer of answers) {
    bytes += answer?.digest?.bytes ?? 0;
    lines += answer?.digest?.lines ?? 0;
  }
  return { bytes, lines };
}

function size(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const step = bytes < 1_000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1_000 ** step).toFixed(step === 0 ? 0 : 1)} ${units[step]}`;
}
