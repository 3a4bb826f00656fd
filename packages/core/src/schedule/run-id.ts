import { isoTime } from "../base/clock.ts";
import { runIdOf } from "../base/id.ts";

/** The id of the run of a due time: `<schedule>=20300131T080000Z`, with `_250` before the `Z` for what is not a whole second. */
export function runId(schedule: string, due: number): string {
  return runIdOf(schedule, stampOf(due));
}

/** The id of a run that somebody asked for: by its time, and by how many were asked for before. */
export function triggeredRunId(schedule: string, at: number, number: number): string {
  return runIdOf(schedule, `${stampOf(at)}-t${number}`);
}

function stampOf(ms: number): string {
  return isoTime(ms).replaceAll(/[-:]/g, "").replace(".000Z", "Z").replace(".", "_");
}
