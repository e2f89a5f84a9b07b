// User agents as a public site sees them: a few are most of the traffic, and very many come now and then.
import { join } from "node:path";
import { seededRandom, zipfSequence } from "./workload.ts";

/** Kinds that hop tells apart; it keeps no digits. */
const KINDS = 500;
const LENGTH = 1 << 14;
const SEED = 418;

const MAKERS = ["SM-", "Redmi Note ", "Pixel ", "moto g", "CPH", "V", "RMX", "ONEPLUS ", "Nokia ", "M"];
const CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0";
const SHAPES: readonly ((model: string) => string)[] = [
  (model) => `Mozilla/5.0 (Linux; Android 14; ${model}) ${CHROME} Mobile Safari/537.36`,
  (model) =>
    `Mozilla/5.0 (Linux; Android 13; ${model} Build/TP1A.220624.014; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/138.0.0.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/519.0.0.42.79;]`,
  (model) =>
    `Mozilla/5.0 (Linux; Android 14; ${model}) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36`,
  (model) =>
    `Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1 ${model}`,
  (model) => `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${CHROME} Safari/537.36 Edg/138.0.0.0 ${model}`,
];

/** So many of 500 kinds, drawn by Zipf's law (exponent 1); the same ones on every run. */
export function drawAgents(count = LENGTH): string[] {
  const random = seededRandom(SEED);
  const pick = <T>(things: readonly T[], otherwise: T) =>
    things[Math.floor(random() * things.length)] ?? otherwise;
  const letters = () =>
    String.fromCharCode(...Array.from({ length: 3 }, () => 65 + Math.floor(random() * 26)));
  const kinds = Array.from({ length: KINDS }, () => {
    const model = `${pick(MAKERS, "")}${letters()}${Math.floor(random() * 1_000)}`;
    return pick(SHAPES, (name) => name)(model);
  });
  return zipfSequence(KINDS, count, random).map((kind) => kinds[kind] ?? "");
}

/** Writes them as a file, one a line. */
export async function writeAgents(directory: string): Promise<string> {
  const file = join(directory, "agents.txt");
  await Bun.write(file, `${drawAgents().join("\n")}\n`);
  return file;
}
