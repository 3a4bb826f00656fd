/** The durable parent of an instance, and the parent's number for the instance. */
export interface ParentLink {
  readonly id: string;
  readonly key: number;
  /** True if the parent receives each change, and not only the end. */
  readonly sync: boolean;
  /** The number of durable actors above the instance. */
  readonly depth?: number | undefined;
}
