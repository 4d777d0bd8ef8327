/** Runs seeds until one fails: exit code 0 when a fault was noticed, 1 when none was. */
import { runSeed } from '../scenario.ts';

const seedsMax = Number(process.argv[2] ?? 400);
for (let seed = 1; seed <= seedsMax; seed++) {
  try {
    runSeed(seed);
  } catch (error) {
    const [what] = String(error instanceof Error ? error.message : error).split('\n');
    process.stdout.write(`seed ${seed}: ${what}\n`);
    process.exit(0);
  }
}
process.stdout.write(`not noticed in ${seedsMax} seeds\n`);
process.exit(1);
