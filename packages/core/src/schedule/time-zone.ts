/** The clock on the wall of a time zone. Wall times are as milliseconds since 1970 on that wall. */
export interface TimeZone {
  /** How far the wall is ahead of UTC at a moment, in milliseconds. */
  offsetAt(at: number): number;
  /** The first moment after `from`, up to `to`, from which the wall is set to another offset; `to` is at most a few days later. */
  changeIn(from: number, to: number): number | undefined;
}

const zones = new Map<string, TimeZone>();
/** Processes use few zones; who sends many must not fill the memory. */
const MOST_ZONES = 500;

/** A zone of the IANA list. Throws `RangeError` when there is none of the name. */
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
