// The error that work ends in.

/** Waits for the rejection; throws when there is none. */
export async function errorOf(work: Promise<unknown>): Promise<Error & { readonly code?: unknown }> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  throw new Error("it was not refused");
}
