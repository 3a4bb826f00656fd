import { createClient, type Client } from "@ergon/core";
import { createNames } from "@ergon/core/engine";
import { connectNats, openNats } from "@ergon/core/nats";

import { checkAnswers, checkRecords } from "./check.ts";
import { fileErrorOf } from "./digest.ts";
import { filesBelow, filesOfCheckout, type Files } from "./files.ts";
import { killInTheMiddle, marksOf } from "./kills.ts";
import { startProcesses, type OnStop, type Processes } from "./processes.ts";
import { writeReport } from "./report.ts";
import { untilSignal } from "./signals.ts";
import { Stopped } from "./stop-reason.ts";
import { printSummary } from "./summary.ts";
import { View, counted, type Screen } from "./view.ts";
import { Work } from "./work.ts";

export interface MainJobOptions {
  readonly screen: Screen;
  readonly checkout: string;
  /** @defaultValue the checkout */
  readonly folder: string | undefined;
  /** Where to write what was answered for each file. @defaultValue nowhere */
  readonly report: string | undefined;
}

/** The namespace's own default, as nobody says otherwise. */
const NAMESPACE = "default";

/**
 * Runs the job and answers whether everything is right. Whatever it has started is gone when it resolves or throws; it throws `Stopped`
 * when it cannot be done, or is interrupted.
 */
export async function runMainJob(options: MainJobOptions): Promise<boolean> {
  const view = new View(options.screen);
  const stops: (() => Promise<unknown>)[] = [];
  const signal = untilSignal();
  try {
    return await Promise.race([run(options, view, (stop) => stops.push(stop)), signal.promise]);
  } finally {
    view.abandon();
    for (const stop of stops.reverse()) await stop();
    signal.forget();
  }
}

async function run({ checkout, folder, report }: MainJobOptions, view: View, onStop: OnStop): Promise<boolean> {
  const { names, how, skipped } = await findFiles(folder, checkout);
  view.line(`${counted(names.length, "file")} in ${folder ?? "this repository"} (${how})`);
  if (skipped.length > 0) view.line(`skipped: ${skipped.join(", ")}`);
  if (names.length === 0) {
    view.line("nothing to do: nothing is started, nothing is killed");
    return true;
  }

  const root = folder ?? checkout;
  const processes = await startProcesses(root, onStop);
  return Promise.race([runOn(processes, { root: Buffer.from(root), names, report, view, onStop }), processes.broken]);
}

interface Job {
  readonly root: Buffer;
  readonly names: readonly Buffer[];
  readonly report: string | undefined;
  readonly view: View;
  readonly onStop: OnStop;
}

async function runOn(processes: Processes, { root, names, report, view, onStop }: Job): Promise<boolean> {
  const link = await connectNats({ servers: processes.url, name: "ergon main job" });
  const { bus, records } = await openNats(link, { namespace: NAMESPACE });
  onStop(() => link.close());
  const client = createClient({ bus, namespace: NAMESPACE });
  onStop(() => client.close());
  await everyNodeHasShards(client, processes.nodes.length);
  view.event("dim", "started nats-server, two nodes and three agents, a process each");

  const marks = marksOf(names.length);
  const work = new Work(client, names, [marks.agent, marks.node]);
  const wireNames = createNames(NAMESPACE);
  work.listen(bus, wireNames);
  view.line(view.style("dim", notes(work).join("\n")));
  view.follow("done", () => work.counts);
  const [kills] = await Promise.all([
    killInTheMiddle({ processes, client, bus, names: wireNames, work, view }, marks),
    work.run(),
  ]);
  view.finish();

  let checked = 0;
  view.follow("checked", () => ({ total: names.length, ended: checked, running: 0, waiting: 0, lost: 0, retried: 0 }));
  const { answers } = work;
  const verdicts = await checkAnswers(root, names, answers, () => (checked += 1));
  view.finish();
  view.event("dim", "looking into the store");
  const faults = await checkRecords(records, client, new Set(names.map((_, index) => work.taskOf(index))));
  if (report !== undefined) await writeReport(report, names, answers, verdicts);
  const isRight = printSummary(view, processes, { names, answers, verdicts, faults, kills });
  view.line(`${view.seconds.toFixed(1)} s in all`);
  return isRight;
}

/** What is done so that each kill hits work, for those who wonder. */
function notes({ isFew }: Work): readonly string[] {
  return [
    "An agent and a node will be killed, and not replaced. Each time one answer is",
    "held back until the kill, so that it is sure to hit work under way.",
    ...(isFew ? ["As the files are few, a third is submitted at a time, none during a recovery."] : []),
  ];
}

async function findFiles(folder: string | undefined, checkout: string): Promise<Files> {
  try {
    return folder === undefined ? await filesOfCheckout(Buffer.from(checkout)) : await filesBelow(Buffer.from(folder));
  } catch (error) {
    const refusal = fileErrorOf(error);
    if (refusal === undefined) throw error;
    throw new Stopped(`${folder ?? checkout} cannot be looked through: ${refusal.text}`, 2);
  }
}

/** A node that has joined last gets its share from the others. */
async function everyNodeHasShards(client: Client, nodes: number): Promise<void> {
  for (;;) {
    const found = await client.nodes();
    if (found.length === nodes && found.every(({ shards }) => shards > 0)) return;
  }
}
