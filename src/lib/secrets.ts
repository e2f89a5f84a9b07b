// Takes secrets out of text before it leaves the process: the last line of defence, behind not putting them in.

const MASK = "***";
/** Shorter ones are also words, and a log without the word "hop" is of no use. */
const SHORTEST = 6;

/** Between `//` and the last `@` before the path: user and password of a URL. */
const URL_CREDENTIALS = /(:\/\/)[^\s"'/?#]*@/g;
const API_KEY = /hop_[\w-]{32,}/g;

/**
 * A function that masks the credentials of URLs, API keys, and these secrets wherever they stand, also inside JSON.
 * @param secrets such as passwords; those of less than six characters are masked only within a URL
 */
export function createMask(secrets: readonly string[] = []): (text: string) => string {
  const spellings = secrets
    .flatMap((secret) => [secret, JSON.stringify(secret).slice(1, -1)])
    .filter((secret) => secret.length >= SHORTEST);
  // The longest first: one may be part of another.
  const known = [...new Set(spellings)].toSorted((a, b) => b.length - a.length);
  return (text) => {
    let masked = text.replace(URL_CREDENTIALS, `$1${MASK}@`).replace(API_KEY, `hop_${MASK}`);
    for (const secret of known) masked = masked.replaceAll(secret, MASK);
    return masked;
  };
}
