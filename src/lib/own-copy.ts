// Text that is remembered must not remember more than itself.

/** A text of its own. A piece cut from another text shares its memory, and keeps all of it for as long as it is kept. */
export function ownCopy(text: string): string {
  return Buffer.from(text).toString();
}
