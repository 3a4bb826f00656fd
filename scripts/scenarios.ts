// Prints each scenario of the acceptance list (test/scenarios.txt) beside the passing tests that name its number.
//
//   npm run scenarios [-- VITEST ARGUMENT…]    runs the whole suite, or a part of it (`--project unit`)
//
// Exit codes: 0 no test failed and every number that a title names is on the list, 1 otherwise.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { idsIn, readScenarios, type Scenario } from "./scenarios/list.ts";

interface Assertion {
  readonly status: string;
  readonly fullName: string;
}

interface Report {
  readonly testResults: readonly { readonly name: string; readonly assertionResults: readonly Assertion[] }[];
}

interface Test extends Assertion {
  readonly file: string;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const groups = readScenarios(readFileSync(path.join(root, "test/scenarios.txt"), "utf8"));
const scenarios = groups.flatMap((group) => group.scenarios);
const tests = runSuite(process.argv.slice(2));
const passed = tests.filter(({ status }) => status === "passed");
const failing = tests.filter(({ status }) => status === "failed");
const shownBy = testsByScenario();
const listed = new Set(scenarios.map(({ id }) => id));
const unlisted = [...shownBy.keys()].filter((id) => !listed.has(id));

for (const scenario of scenarios) printScenario(scenario);
printTable();
const skipped = tests.length - passed.length - failing.length;
console.log(`\n${passed.length} tests passed, ${failing.length} failed, ${skipped} were skipped.`);
for (const { fullName } of failing) console.log(`failed: ${fullName}`);
if (unlisted.length > 0) console.log(`named, but not on the list: ${unlisted.join(" ")}`);
if (failing.length > 0 || unlisted.length > 0 || passed.length === 0) process.exitCode = 1;

function runSuite(chosen: readonly string[]): Test[] {
  const folder = mkdtempSync(path.join(tmpdir(), "ergon-scenarios-"));
  const file = path.join(folder, "report.json");
  try {
    const { error } = spawnSync("vitest", ["run", "--reporter=json", `--outputFile=${file}`, ...chosen], {
      cwd: root,
      stdio: ["ignore", "ignore", "inherit"],
    });
    if (error !== undefined) throw error;
    const report = JSON.parse(readFileSync(file, "utf8")) as Report;
    return report.testResults.flatMap(({ name, assertionResults }) =>
      assertionResults.map((assertion) => ({ ...assertion, file: path.relative(root, name) })),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function testsByScenario(): ReadonlyMap<string, readonly Test[]> {
  const letters = new Set(groups.map(({ letter }) => letter));
  const found = new Map<string, Test[]>();
  for (const test of passed) {
    for (const id of idsIn(test.fullName, letters)) found.set(id, [...(found.get(id) ?? []), test]);
  }
  return found;
}

function printScenario({ id, text, leftOut }: Scenario): void {
  console.log(`${id.padEnd(6)} ${leftOut ? `left out: ${text}` : text}`);
  if (leftOut) return;
  const shown = shownBy.get(id) ?? [];
  for (const { file, fullName } of shown) console.log(`         ${file}: ${fullName}`);
  if (shown.length === 0) console.log("         no test names it yet");
}

function printTable(): void {
  const width = Math.max(...groups.map(({ name }) => name.length));
  console.log("");
  for (const { letter, name, scenarios: all } of groups) {
    const wanted = all.filter(({ leftOut }) => !leftOut);
    const missing = wanted.filter(({ id }) => !shownBy.has(id));
    const count = `${String(wanted.length - missing.length).padStart(3)} of ${String(wanted.length).padStart(3)}`;
    const rest = missing.length === 0 ? "all named" : `not yet: ${compact(missing)}`;
    const without = all.length === wanted.length ? "" : `; left out: ${compact(all.filter(({ leftOut }) => leftOut))}`;
    console.log(`${letter}  ${name.padEnd(width)}  ${count}  ${rest}${without}`);
  }
  const wanted = scenarios.filter(({ leftOut }) => !leftOut);
  const shown = wanted.filter(({ id }) => shownBy.has(id)).length;
  console.log(`   ${"".padEnd(width)}  ${String(shown).padStart(3)} of ${String(wanted.length).padStart(3)}`);
}

/** Numbers with their runs joined: `1 3..5 96a`. */
function compact(some: readonly Scenario[]): string {
  const numbers = some.map(({ id }) => id.slice(2));
  const parts: string[] = [];
  for (let index = 0; index < numbers.length; index++) {
    const first = numbers[index] ?? "";
    let last = first;
    while (numbers[index + 1] === String(Number(last) + 1)) last = numbers[++index] ?? last;
    parts.push(first === last ? first : `${first}..${last}`);
  }
  return parts.join(" ");
}
