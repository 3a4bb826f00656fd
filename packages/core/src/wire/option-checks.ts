import { parseIsoTime } from "../base/clock.ts";
import { parseDuration } from "../base/duration.ts";
import { InvalidError, type ErrorCode, type Issue } from "../base/errors.ts";
import { isMap } from "../base/msgpack.ts";
import { nearestName } from "../base/similar.ts";
import { taskLimits } from "../task/spec.ts";

/** Collects the faults of an input field by field, so that one error reports all of them. */
export class Faults {
  readonly issues: Issue[] = [];

  add(field: string, code: ErrorCode, message: string): undefined {
    this.issues.push({ field, code, message: `${field}: ${message}` });
    return undefined;
  }

  throwIfAny(): void {
    const first = this.issues[0];
    if (first === undefined) return;
    const more = this.issues.length === 1 ? "" : ` (and ${this.issues.length - 1} more)`;
    throw new InvalidError(first.code as ErrorCode, `${first.message}${more}`, { issues: this.issues });
  }
}

/** The known names of an option, which an error shows to the author of an unknown name. */
export interface KnownNames {
  readonly kind: "option" | "field";
  readonly names: Iterable<string>;
  /** The page of docs/ that lists the names. */
  readonly page: string;
}

/** The number of unknown names that are compared with the known ones. A message can hold very many. */
const COMPARED = 50;

/** Reports an unknown name together with a similar known name, or with the page that lists the known names. */
export function unknownName(field: string, name: string, { kind, names, page }: KnownNames, faults: Faults): void {
  const nearest = faults.issues.length < COMPARED ? nearestName(name, names) : undefined;
  const advice = nearest === undefined ? `docs/${page}.md lists them` : `did you mean ${nearest}?`;
  faults.add(field, "UNKNOWN_OPTION", `no such ${kind}; ${advice}`);
}

/** Reads a number or its decimal digits. JavaScript's other forms of numbers (0x10, 1e3) are faults. */
export function plainNumber(
  name: string,
  value: unknown,
  { whole, min, max }: { readonly whole: boolean; readonly min: number; readonly max: number },
  faults: Faults,
): number | undefined {
  const number =
    typeof value === "number"
      ? value
      : typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value.trim())
        ? Number(value)
        : Number.NaN;
  const fits = whole ? Number.isInteger(number) : Number.isFinite(number);
  if (fits && number >= min && number <= max) return number;
  return faults.add(name, "INVALID_OPTION", `must be ${whole ? "a whole number" : "a number"} from ${min} to ${max}`);
}

/** Reads a duration, which is milliseconds or a text such as `30s`. */
export function duration(name: string, value: unknown, min: number, max: number, faults: Faults): number | undefined {
  const ms = typeof value === "number" ? value : typeof value === "string" ? parseDuration(value) : undefined;
  if (ms !== undefined && Number.isFinite(ms) && ms >= min && ms <= max) return Math.round(ms);
  return faults.add(
    name,
    "INVALID_OPTION",
    `must be a duration such as 250ms, 30s, 5m or 2d, from ${min} ms to ${max} ms`,
  );
}

/** Reads a time, which is milliseconds since 1970 or an ISO 8601 text. */
export function time(name: string, value: unknown, faults: Faults): number | undefined {
  const ms =
    typeof value === "number"
      ? value
      : typeof value === "string"
        ? /^\d+$/.test(value)
          ? Number(value)
          : parseIsoTime(value)
        : Number.NaN;
  if (Number.isFinite(ms) && ms >= 0 && ms <= 8_640_000_000_000_000) return ms;
  return faults.add(
    name,
    "INVALID_OPTION",
    "must be a time: ISO 8601 such as 2030-01-31T08:00:00Z, or milliseconds since 1970",
  );
}

/** The pattern of half a character beyond the first 65,536 (a lone surrogate). No text encoding can represent it, so it would change on the wire. */
const HALF_CHARACTER = /\p{Surrogate}/u;

/** Reads a text that may stand in a header. */
export function text(name: string, value: unknown, longest: number, faults: Faults): string | undefined {
  if (value === undefined) return undefined;
  // oxlint-disable-next-line no-control-regex
  if (typeof value !== "string" || value.length > longest || /[\u0000-\u001f\u007f]/.test(value))
    return faults.add(
      name,
      "INVALID_OPTION",
      `must be a text of at most ${longest} characters, without control characters`,
    );
  // Spaces at the ends of a header are not part of its value.
  if (value.startsWith(" ") || value.endsWith(" "))
    return faults.add(name, "INVALID_OPTION", "must not begin or end with a space");
  return whole(name, value, faults);
}

/** Reads a text without lone surrogates. */
export function whole(name: string, value: string, faults: Faults): string | undefined {
  if (!HALF_CHARACTER.test(value)) return value;
  return faults.add(name, "INVALID_OPTION", "has half of a character (a lone surrogate), which cannot be stored");
}

const WORD = /^[^\s,\p{Cc}\p{Surrogate}]+$/u;

/** Reads a list of words. */
export function words(
  name: string,
  value: unknown,
  most: number,
  longest: number,
  faults: Faults,
): readonly string[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length > most)
    return faults.add(name, "INVALID_OPTION", `must be a list of at most ${most} texts`);
  for (const item of value as unknown[]) {
    if (typeof item !== "string" || item.length > longest || !WORD.test(item)) {
      return faults.add(
        name,
        "INVALID_OPTION",
        `each must be a text of 1 to ${longest} characters without spaces, commas and control characters`,
      );
    }
  }
  return value as string[];
}

/** Reads the arguments of a task. */
export function argumentsMap(
  field: string,
  value: unknown,
  faults: Faults,
): Readonly<Record<string, string>> | undefined {
  if (value === undefined) return undefined;
  if (!isMap(value)) return faults.add(field, "INVALID_OPTION", "must be an object of texts");
  const entries = Object.entries(value);
  if (entries.length > taskLimits.arguments)
    return faults.add(field, "INVALID_OPTION", `has ${entries.length} entries; ${taskLimits.arguments} are allowed`);
  let bytes = 0;
  for (const [key, argument] of entries) {
    // MessagePack libraries rename this key for safety, so the task would change when its record is read.
    if (key === "__proto__")
      return faults.add(`${field}.${key}`, "INVALID_OPTION", "cannot be the name of an argument");
    if (typeof argument !== "string") return faults.add(`${field}.${key}`, "INVALID_OPTION", "must be a text");
    if (HALF_CHARACTER.test(key) || HALF_CHARACTER.test(argument))
      return whole(`${field}.${key}`, key + argument, faults) as undefined;
    bytes += Buffer.byteLength(key) + Buffer.byteLength(argument);
  }
  if (bytes > taskLimits.argumentsBytes)
    return faults.add(field, "INVALID_OPTION", `has ${bytes} bytes; ${taskLimits.argumentsBytes} are allowed`);
  return value as Record<string, string>;
}
