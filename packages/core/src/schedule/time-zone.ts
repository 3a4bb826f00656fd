/** The wall clock of a time zone. Wall times are milliseconds since 1970 on that clock. */
export interface TimeZone {
  /** Returns the milliseconds by which the wall clock is ahead of UTC at a moment. */
  offsetAt(at: number): number;
  /** Returns the first moment after `from`, and up to `to`, at which the offset changes. `to` is at most a few days after `from`. */
  changeIn(from: number, to: number): number | undefined;
}

const zones = new Map<string, TimeZone>();
/** The number of cached zones. Processes use few, and the limit keeps a client that sends many from filling the memory. */
const MOST_ZONES = 500;

/** Returns a zone of the IANA list. Throws `RangeError` when the name is unknown. */
export function timeZoneOf(name: string): TimeZone {
  const known = zones.get(name);
  if (known !== undefined) return known;
  const zone = createZone(name);
  if (zones.size >= MOST_ZONES) zones.clear();
  zones.set(name, zone);
  return zone;
}

function createZone(name: string): TimeZone {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: name,
    calendar: "gregory",
    numberingSystem: "latn",
    era: "short",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
    hourCycle: "h23",
  });
  const offsetAt = (at: number): number => {
    if (name === "UTC") return 0;
    const second = Math.floor(at / 1_000) * 1_000;
    const parts: Record<string, string> = {};
    for (const { type, value } of format.formatToParts(second)) parts[type] = value;
    const { year, month, day, hour, minute, second: seconds, era } = parts;
    const wall = new Date(0);
    wall.setUTCFullYear(era === "BC" ? 1 - Number(year) : Number(year), Number(month) - 1, Number(day));
    wall.setUTCHours(Number(hour), Number(minute), Number(seconds));
    return wall.getTime() - second;
  };
  return {
    offsetAt,
    changeIn: (from, to) => {
      const before = offsetAt(from);
      if (to <= from || offsetAt(to) === before) return undefined;
      let [low, high] = [from, to];
      while (high - low > 1) {
        const middle = Math.floor((low + high) / 2);
        if (offsetAt(middle) === before) low = middle;
        else high = middle;
      }
      return high;
    },
  };
}
