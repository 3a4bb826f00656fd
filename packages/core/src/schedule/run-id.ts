import { isoTime } from "../base/clock.ts";
import { runIdOf } from "../base/id.ts";

/** Returns the id of a due time's run: `<schedule>=20300131T080000Z`. A due time with milliseconds adds `_250` before the `Z`. */
export function runId(schedule: string, due: number): string {
  return runIdOf(schedule, stampOf(due));
}

/** Returns the id of a run that a client has triggered. It contains the time, and the number of triggered runs before it. */
export function triggeredRunId(schedule: string, at: number, number: number): string {
  return runIdOf(schedule, `${stampOf(at)}-t${number}`);
}

function stampOf(ms: number): string {
  return isoTime(ms).replaceAll(/[-:]/g, "").replace(".000Z", "Z").replace(".", "_");
}
