import { isTerminal, type Client } from "@ergon/core";
import { decodeFields, statusOf, type RecordStore, type TaskContext } from "@ergon/core/engine";

import { digest, fileErrorOf } from "./digest.ts";
import { join } from "./name.ts";
import type { Answer } from "./work.ts";

/** What the job itself finds, beside what the agents answered. */
export interface Verdict {
  readonly index: number;
  /** `changed`: the file is not what it was when its agent read it, so that nobody can tell. */
  readonly kind: "right" | "changed" | "wrong";
  /** Why it is not right. */
  readonly reason?: string;
}

/** Files that are read at once. */
const AT_ONCE = 16;

/** Reads every file again, and compares. `onChecked` is called after each. */
export async function checkAnswers(
  folder: Buffer,
  names: readonly Buffer[],
  answers: readonly (Answer | undefined)[],
  onChecked: () => void,
): Promise<readonly Verdict[]> {
  const verdicts: Verdict[] = [];
  const queue = names.entries();
  const checkInTurn = async (): Promise<void> => {
    for (const [index, name] of queue) {
      verdicts[index] = { index, ...(await judge(join(folder, name), answers[index])) };
      onChecked();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, checkInTurn));
  return verdicts;
}

async function judge(file: Buffer, answer: Answer | undefined): Promise<Omit<Verdict, "index">> {
  if (answer === undefined) return { kind: "wrong", reason: "not answered" };
  if (answer.fault !== undefined) return { kind: "wrong", reason: answer.fault };
  const { digest: found, failure } = answer;
  try {
    const own = await digest(file);
    if (found === undefined) return { kind: "wrong", reason: `failed: ${failure?.code}: ${failure?.message}` };
    if (found.sha256 === own.sha256 && found.lines === own.lines && found.bytes === own.bytes) return { kind: "right" };
    if (found.modified !== own.modified) return { kind: "changed", reason: "changed while the job ran" };
    return {
      kind: "wrong",
      reason: `answered ${found.sha256.slice(0, 12)}…, ${found.lines} lines; it is ${own.sha256.slice(0, 12)}…, ${own.lines} lines`,
    };
  } catch (error) {
    const code = fileErrorOf(error)?.code;
    if (code === undefined) throw error;
    if (failure?.code === code) return { kind: "right" };
    if (code === "ENOENT" || found === undefined)
      return { kind: "changed", reason: `gone or changed while the job ran (${code})` };
    return { kind: "wrong", reason: `was answered, but cannot be read (${code})` };
  }
}

/** Looks into the store itself, past the nodes: whether each task has one record, an ended one, and there is no other. Answers what is wrong. */
export async function checkRecords(
  records: RecordStore,
  client: Client,
  tasks: ReadonlySet<string>,
): Promise<readonly string[]> {
  const faults: string[] = [];
  const seen = new Set<string>();
  const everything = Array.from({ length: records.shards }, (_, shard) => ({ shard, after: 0, ids: [] }));
  await records.load(everything, (_, { id, data }) => {
    if (data.length === 0) return;
    const record = decodeFields(data);
    const status = "kind" in record ? "unreadable" : statusOf(record.snapshot.context as TaskContext);
    if (!tasks.has(id)) faults.push(`there is a task ${id} that nobody submitted`);
    if (seen.has(id)) faults.push(`task ${id} has more than one record`);
    if (!isTerminal(status)) faults.push(`task ${id} is stored as ${status}`);
    seen.add(id);
  });
  for (const id of tasks) if (!seen.has(id)) faults.push(`task ${id} has no record`);
  const { tasks: live, missingShards } = await client.list();
  for (const task of live) faults.push(`task ${task.id} is still ${task.status}`);
  if (missingShards !== undefined) faults.push(`nobody answers for the shards ${missingShards.join(", ")}`);
  return faults;
}
