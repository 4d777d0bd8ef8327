/** Loaded before everything else: plants the mutant that `MUTANT` names into its file. */
import { registerHooks } from 'node:module';
import { mutants } from './mutants.ts';

const mutant = mutants.find(({ name }) => name === process.env.MUTANT);
if (mutant === undefined) throw new Error(`no mutant is called "${process.env.MUTANT}"`);
const edits = [mutant, ...(mutant.also ?? [])];

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const here = edits.filter(({ file }) => url.endsWith(`/${file}`));
    if (here.length === 0 || url.includes('node_modules')) return loaded;
    let source = Buffer.from(loaded.source as Uint8Array).toString('utf8');
    for (const { find, replace, file } of here) {
      if (source.split(find).length !== 2) {
        throw new Error(`"${mutant.name}": its place in ${file} is not there, or not only once`);
      }
      source = source.replace(find, () => replace);
    }
    return { ...loaded, source };
  },
});
