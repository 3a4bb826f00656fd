/** The durable parent of an instance, and the number under which it knows it. */
export interface ParentLink {
  readonly id: string;
  readonly key: number;
  /** Whether each change is told, not only the end. */
  readonly sync: boolean;
  /** How many durable actors are above it. */
  readonly depth?: number | undefined;
}
