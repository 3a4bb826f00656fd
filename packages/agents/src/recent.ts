import type { Answer } from "./answers.ts";

const MAX_ANSWERS = 10_000;
const MAX_BYTES = 32 * 1_024 * 1_024;

/** The answers recorded last, so that an attempt that is dispatched again gets its answer again and never runs twice. */
export class Recent {
  readonly #answers: Map<string, Answer> = new Map();
  readonly #maxAnswers: number;
  readonly #maxBytes: number;
  #bytes = 0;

  constructor(maxAnswers: number = MAX_ANSWERS, maxBytes: number = MAX_BYTES) {
    this.#maxAnswers = maxAnswers;
    this.#maxBytes = maxBytes;
  }

  add(answer: Answer): void {
    this.take(answer.key);
    this.#answers.set(answer.key, answer);
    this.#bytes += answer.data.length;
    while (this.#answers.size > this.#maxAnswers || this.#bytes > this.#maxBytes) {
      const [oldest] = this.#answers.keys();
      if (oldest === undefined) return;
      this.take(oldest);
    }
  }

  /** Removes an answer and answers it. */
  take(key: string): Answer | undefined {
    const answer = this.#answers.get(key);
    if (answer === undefined) return undefined;
    this.#answers.delete(key);
    this.#bytes -= answer.data.length;
    return answer;
  }
}
