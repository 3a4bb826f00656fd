import { InvalidError, type Until } from "@ergon/core";

/** Throws `InvalidError` when flags say how long to wait, but not for what, or for two things at once. */
export function checkTimeout(flags: {
  readonly wait?: boolean;
  readonly until?: Until;
  readonly timeout?: number;
}): void {
  if (flags.timeout !== undefined && flags.wait !== true && flags.until === undefined)
    throw new InvalidError("INVALID_OPTION", "--timeout needs --wait or --until: add one of them");
  if (flags.wait === true && flags.until !== undefined)
    throw new InvalidError(
      "INVALID_OPTION",
      "--wait waits for the end, --until for a state or a tag: use only one of them",
    );
}
