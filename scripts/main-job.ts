// The main job: a SHA-256 and a line count of every file below a folder, while an agent and a node are killed.
//
//   npm start [-- [--report FILE] DIR]
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

import { isErgonError, messageOf } from "@ergon/core";

import { runMainJob } from "./main-job/run.ts";
import { Stopped } from "./main-job/stop-reason.ts";

const usage = `Usage: npm start [-- [--report FILE] DIR]

Starts nats-server, two nodes and three agents, submits a task for each file below DIR (default: this repository) that
computes its SHA-256 and line count, kills an agent and a node with SIGKILL in the middle, and checks every answer.

  --report FILE  writes what was answered for each file, a JSON object a line

Exit codes: 0 every answer is right, 1 something is wrong or could not be done, 2 usage, 130 interrupted
`;

/** npm runs scripts in the checkout, whatever folder it was called from. */
const here = process.env["INIT_CWD"] ?? process.cwd();
const checkout = fileURLToPath(new URL("..", import.meta.url));

// Whoever reads the output may go away (`| head`): then the job stops as it does when it is told to.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => process.emit("SIGTERM", "SIGTERM"));
try {
  const { help, report, folder } = readArguments();
  if (help) process.stdout.write(usage);
  else process.exitCode = (await runMainJob({ screen: process.stdout, checkout, folder, report })) ? 0 : 1;
} catch (error) {
  const stopped = error instanceof Stopped ? error : undefined;
  process.stderr.write(`main job: ${isErgonError(error) ? `${error.code}: ` : ""}${messageOf(error)}\n`);
  for (const line of stopped?.details ?? []) process.stderr.write(`    ${line}\n`);
  if (stopped === undefined && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exitCode = stopped?.exitCode ?? 1;
}
// Connections that are still closing keep nobody.
process.stdout.write("", () => process.exit());

function readArguments(): {
  readonly help: boolean;
  readonly report: string | undefined;
  readonly folder: string | undefined;
} {
  try {
    const { values, positionals } = parseArgs({
      options: { help: { type: "boolean", short: "h", default: false }, report: { type: "string" } },
      allowPositionals: true,
    });
    if (positionals.length > 1) throw new Error(`one DIR at most, not ${positionals.length}`);
    const [folder] = positionals;
    const absolute = (text: string | undefined): string | undefined =>
      text === undefined ? undefined : path.resolve(here, text);
    return { help: values.help, report: absolute(values.report), folder: absolute(folder) };
  } catch (error) {
    throw new Stopped(`${messageOf(error)}\n\n${usage}`, 2);
  }
}
