import { styleText } from "node:util";

import type { Counts } from "./work.ts";

type Style = Parameters<typeof styleText>[0];

/** Where the view goes: a terminal, or a pipe or file. */
export interface Screen {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

const TERMINAL_MS = 100;
const PLAIN_MS = 1_000;
/** The time over which the rate is measured. */
const RATE_MS = 2_000;
const BAR = 20;

/** Shows a person how the work goes on: a bar that moves on a terminal, a line each second elsewhere; what happens meanwhile above it. */
export class View {
  readonly #screen: Screen;
  readonly #startedAt = performance.now();
  readonly #samples: { readonly at: number; readonly ended: number }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #counts: (() => Counts) | undefined;
  #what = "";
  #drawn = false;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** Seconds since the start of the job. */
  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1_000;
  }

  style(style: Style, text: string): string {
    return this.#screen.isTTY === true ? styleText(style, text) : text;
  }

  line(text = ""): void {
    this.#clear();
    this.#screen.write(`${text}\n`);
    this.#draw();
  }

  /** Something that happened, with its time. */
  event(style: Style, text: string): void {
    this.line(`${this.#time()}  ${this.style(style, text)}`);
  }

  /** Shows the counts until `finish`. */
  follow(what: string, counts: () => Counts): void {
    this.#what = what;
    this.#counts = counts;
    this.#samples.length = 0;
    this.#sample();
    this.#timer = setInterval(() => this.#tick(), this.#screen.isTTY === true ? TERMINAL_MS : PLAIN_MS);
    this.#draw();
  }

  /** Shows the counts for the last time. */
  finish(): void {
    if (this.#counts === undefined) return;
    this.#tick();
    this.abandon();
  }

  /** Leaves what is shown, and stops. */
  abandon(): void {
    clearInterval(this.#timer);
    if (this.#drawn) this.#screen.write("\n");
    this.#drawn = false;
    this.#counts = undefined;
  }

  #tick(): void {
    this.#sample();
    if (this.#screen.isTTY === true) {
      this.#clear();
      this.#draw();
    } else {
      this.#screen.write(`${this.#status(false)}\n`);
    }
  }

  #sample(): void {
    const at = performance.now();
    this.#samples.push({ at, ended: this.#counts?.().ended ?? 0 });
    while ((this.#samples[1]?.at ?? Infinity) < at - RATE_MS) this.#samples.shift();
  }

  #rate(): number {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (first === undefined || last === undefined || last.at === first.at) return 0;
    return ((last.ended - first.ended) / (last.at - first.at)) * 1_000;
  }

  #clear(): void {
    if (this.#drawn) this.#screen.write("\r\u001b[2K");
    this.#drawn = false;
  }

  #draw(): void {
    if (this.#counts === undefined || this.#screen.isTTY !== true) return;
    // A line that wraps could not be taken back.
    this.#screen.write(this.#status(true).slice(0, (this.#screen.columns ?? 80) - 1));
    this.#drawn = true;
  }

  #status(withBar: boolean): string {
    const counts = this.#counts?.();
    if (counts === undefined) return "";
    const { total, ended, running, waiting, lost, retried } = counts;
    const share = total === 0 ? 1 : ended / total;
    const full = Math.floor(share * BAR);
    const bar = withBar ? `${"█".repeat(full)}${"░".repeat(BAR - full)} ` : "";
    const parts = [
      `${bar}${this.#what} ${count(ended)}/${count(total)} ${Math.floor(share * 100)}%`,
      `${count(Math.round(this.#rate()))}/s`,
    ];
    if (running + waiting > 0) parts.push(`${running} running, ${count(waiting)} waiting`);
    if (lost > 0) parts.push(`${lost} lost`);
    if (retried > 0) parts.push(`${retried} retried`);
    return `${this.#time()}  ${parts.join("  ")}`;
  }

  #time(): string {
    return `${this.seconds.toFixed(1).padStart(5)} s`;
  }
}

/** A number as people read it. */
export function count(number: number): string {
  return number.toLocaleString("en");
}

/** A number of things. */
export function counted(number: number, thing: string): string {
  return `${count(number)} ${thing}${number === 1 ? "" : "s"}`;
}
