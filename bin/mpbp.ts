#!/usr/bin/env -S node --max-semi-space-size=16
/** The entry. What is compiled at the first start is kept, which halves the time of the later ones. */
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';

// Beside the libraries: whoever may write there may change the code itself.
enableCompileCache(join(import.meta.dirname, '..', 'node_modules', '.cache', 'mpbp'));
await import('./cli.ts');
