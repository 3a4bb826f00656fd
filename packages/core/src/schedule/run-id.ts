import { crc32 } from "node:zlib";

import { isoTime } from "../base/clock.ts";

const LONGEST_ID = 128;

/** The id of the run of a due time: `<schedule>-20300131T080000Z`, with `_250` before the `Z` for what is not a whole second. */
export function runId(schedule: string, due: number): string {
  return withSuffix(schedule, stampOf(due));
}

/** The id of a run that somebody asked for: by its time, and by how many were asked for before. */
export function triggeredRunId(schedule: string, at: number, number: number): string {
  return withSuffix(schedule, `${stampOf(at)}-t${number}`);
}

function stampOf(ms: number): string {
  return isoTime(ms).replaceAll(/[-:]/g, "").replace(".000Z", "Z").replace(".", "_");
}

function withSuffix(schedule: string, suffix: string): string {
  const whole = `${schedule}-${suffix}`;
  if (whole.length <= LONGEST_ID) return whole;
  const mark = `_${crc32(schedule).toString(16)}-${suffix}`;
  return schedule.slice(0, LONGEST_ID - mark.length) + mark;
}
