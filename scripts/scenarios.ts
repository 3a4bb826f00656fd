// Says which numbers of the acceptance list (test/scenarios.txt) a passing test names in its title, and which none does yet.
//
//   npm run scenarios [-- VITEST ARGUMENT…]    runs the whole suite, or what the arguments choose (`--project unit`)
//
// Exit codes: 0 no test failed and every number that is named is on the list, 1 otherwise.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

interface Group {
  readonly letter: string;
  readonly name: string;
  readonly ids: readonly string[];
}

interface Report {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

const root = fileURLToPath(new URL("..", import.meta.url));
const groups = readGroups();
const tests = runSuite(process.argv.slice(2));
const named = idsOf(tests.filter(({ status }) => status === "passed"));
const failing = tests.filter(({ status }) => status === "failed");
const listed = new Set(groups.flatMap(({ ids }) => ids));
const strangers = [...named].filter((id) => !listed.has(id));

printTable();
const passed = tests.filter(({ status }) => status === "passed").length;
console.log(
  `\n${passed} tests passed, ${failing.length} failed, ${tests.length - passed - failing.length} were not run.`,
);
for (const { fullName } of failing) console.log(`failed: ${fullName}`);
if (strangers.length > 0) console.log(`named, but not on the list: ${strangers.join(" ")}`);
if (failing.length > 0 || strangers.length > 0 || passed === 0) process.exitCode = 1;

function readGroups(): Group[] {
  const lines = readFileSync(path.join(root, "test/scenarios.txt"), "utf8").split("\n");
  return lines.flatMap((line) => {
    const match = /^([A-Z]) ([^:]+): (.+)$/.exec(line);
    if (match === null) return [];
    const [, letter = "", name = "", numbers = ""] = match;
    return [{ letter, name, ids: numbers.split(" ").flatMap((range) => idsIn(letter, range)) }];
  });
}

/** `7` is one number, `7..9` are three. */
function idsIn(letter: string, range: string): string[] {
  const [first = 0, last = first] = range.split("..").map(Number);
  return Array.from({ length: last - first + 1 }, (_, index) => `${letter}-${first + index}`);
}

function runSuite(chosen: readonly string[]): Report["testResults"][number]["assertionResults"] {
  const folder = mkdtempSync(path.join(tmpdir(), "ergon-scenarios-"));
  const file = path.join(folder, "report.json");
  try {
    const { error } = spawnSync("vitest", ["run", "--reporter=json", `--outputFile=${file}`, ...chosen], {
      cwd: root,
      stdio: ["ignore", "ignore", "inherit"],
    });
    if (error !== undefined) throw error;
    const report = JSON.parse(readFileSync(file, "utf8")) as Report;
    return report.testResults.flatMap(({ assertionResults }) => assertionResults);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function idsOf(shown: readonly { readonly fullName: string }[]): ReadonlySet<string> {
  return new Set(
    shown
      .flatMap(({ fullName }) => fullName.match(/\b[A-Z]-\d+\b/g) ?? [])
      .filter((id) => groups.some(({ letter }) => id.startsWith(`${letter}-`))),
  );
}

function printTable(): void {
  const width = Math.max(...groups.map(({ name }) => name.length));
  let shown = 0;
  for (const { letter, name, ids } of groups) {
    const missing = ids.filter((id) => !named.has(id));
    shown += ids.length - missing.length;
    const count = `${String(ids.length - missing.length).padStart(3)} of ${String(ids.length).padStart(3)}`;
    console.log(
      `${letter}  ${name.padEnd(width)}  ${count}  ${missing.length === 0 ? "all named" : `not yet: ${compact(missing)}`}`,
    );
  }
  console.log(`   ${"".padEnd(width)}  ${String(shown).padStart(3)} of ${String(listed.size).padStart(3)}`);
}

/** Numbers with their runs joined: `1 3..5`. */
function compact(ids: readonly string[]): string {
  const numbers = ids.map((id) => Number(id.slice(2)));
  const parts: string[] = [];
  for (let index = 0; index < numbers.length; index++) {
    const first = numbers[index] ?? 0;
    let last = first;
    while (numbers[index + 1] === last + 1) last = numbers[++index] ?? last;
    parts.push(first === last ? String(first) : `${first}..${last}`);
  }
  return parts.join(" ");
}
