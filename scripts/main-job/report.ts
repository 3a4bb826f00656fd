import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";

import { messageOf } from "@ergon/core";

import type { Verdict } from "./check.ts";
import { showName } from "./name.ts";
import { Stopped } from "./stop-reason.ts";
import type { Answer } from "./work.ts";

/** Writes a JSON object a line for each file: its name, also as base64 since names are bytes, what was answered, and the verdict. */
export async function writeReport(
  file: string,
  names: readonly Buffer[],
  answers: readonly (Answer | undefined)[],
  verdicts: readonly Verdict[],
): Promise<void> {
  function* lines(): Generator<string> {
    for (const [index, name] of names.entries()) {
      const { digest, failure, agent, attempts, lostOn } = answers[index] ?? {};
      const { kind, reason } = verdicts[index] ?? {};
      yield `${JSON.stringify({ file: showName(name), name: name.toString("base64"), ...digest, failure, agent, attempts, lostOn, verdict: kind, reason })}\n`;
    }
  }
  try {
    await pipeline(lines, createWriteStream(file));
  } catch (error) {
    throw new Stopped(`the report cannot be written: ${messageOf(error)}`);
  }
}
