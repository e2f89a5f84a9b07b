// Bytes on their way into a socket: what the kernel does not take is kept, in order, until it does.

/** What is needed of a Bun socket. */
export interface Sink {
  /** How many bytes were taken; negative when the socket is closed. */
  write(data: string | Uint8Array): number;
  end(): void;
}

export class Outlet {
  readonly #sink: Sink;
  #kept: Uint8Array | undefined;
  #ends = false;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  get empty(): boolean {
    return this.#kept === undefined;
  }

  /**
   * @param data text must be ASCII
   * @returns false when something is kept: stop reading what comes next until `drained` says true
   */
  write(data: string | Uint8Array): boolean {
    if (this.#kept !== undefined) {
      this.#kept = Buffer.concat([this.#kept, typeof data === "string" ? Buffer.from(data) : data]);
      return false;
    }
    const taken = this.#sink.write(data);
    // Nobody waits for what is written into a closed socket.
    if (taken < 0 || taken >= data.length) return true;
    this.#kept = typeof data === "string" ? Buffer.from(data.slice(taken)) : data.slice(taken);
    return false;
  }

  /** The kernel has room again. True when nothing is kept any more. */
  drained(): boolean {
    const kept = this.#kept;
    this.#kept = undefined;
    const empty = kept === undefined || this.write(kept);
    if (empty && this.#ends) this.#sink.end();
    return empty;
  }

  /** Ends the socket after the last byte. */
  end(): void {
    this.#ends = true;
    if (this.empty) this.#sink.end();
  }
}
