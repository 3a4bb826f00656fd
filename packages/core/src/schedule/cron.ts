import { Cron } from "croner";

import { messageOf } from "../base/errors.ts";

/**
 * A cron rule in its time zone. Where clocks go forward, a rule of fixed times runs right after the hour that is left out, once; where they go back,
 * once, in the first of the two hours. A rule with `*` or a step in seconds, minutes or hours goes by the time that passes: it runs in neither hour
 * that is left out, and in both of those that come twice.
 */
export function cronOf(cron: string, timeZone: string): Cron {
  return new Cron(cron, { timezone: timeZone, paused: true, mode: "5-or-6-parts", fixedTimeRule: "no-wildcard" });
}

/** Each use of a rule reads it anew. */
const LONGEST_CRON = 256;

/** Why a text is no cron rule, or `undefined`. */
export function faultOfCron(cron: string, timeZone: string): string | undefined {
  if (cron.length > LONGEST_CRON) return `has ${cron.length} characters; ${LONGEST_CRON} are allowed`;
  const parts = cron.trim().split(/\s+/).length;
  if (!/^@[a-z]+$/.test(cron) && parts !== 5 && parts !== 6)
    return `"${cron.slice(0, 80)}" has ${parts} fields; write five: minute hour day month weekday, or six with seconds first`;
  try {
    // Where it is due at all, it is so within the 8 years that a 29 February may take.
    return cronOf(cron, timeZone).nextRun(new Date(0)) === null ? "is never due" : undefined;
  } catch (error) {
    return messageOf(error).replace(/^\w+: /, "");
  }
}

/** Why a text is no time zone, or `undefined`. */
export function faultOfTimeZone(timeZone: string): string | undefined {
  try {
    cronOf("* * * * *", timeZone).nextRun(new Date(0));
    return undefined;
  } catch {
    // What exactly its library says of it helps nobody.
    return `"${timeZone.slice(0, 80)}" is not a time zone; use a name of the IANA list, such as Europe/Berlin or UTC`;
  }
}
