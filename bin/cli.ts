/** The command line: parses, runs, and turns every failure into a message and an exit code. */
import { Command, CommanderError, type Option } from 'commander';
import { EXIT, isDamage, UserError } from '#src/lib/failure.ts';
import { abiCommand } from './commands/abi.ts';
import { accessCommand } from './commands/access.ts';
import { auditCommand } from './commands/audit.ts';
import { channelCommand } from './commands/channel.ts';
import { configCommand } from './commands/config.ts';
import { dbCommand } from './commands/db.ts';
import { devnetCommand } from './commands/devnet.ts';
import { doctorCommand } from './commands/doctor.ts';
import { feeCommand } from './commands/fee.ts';
import { genesisCommand } from './commands/genesis.ts';
import { historyCommand } from './commands/history.ts';
import { initCommand } from './commands/init.ts';
import { keysCommand } from './commands/keys.ts';
import { memberCommand } from './commands/member.ts';
import { merchantCommand } from './commands/merchant.ts';
import { orderCommand } from './commands/order.ts';
import { payCommand } from './commands/pay.ts';
import { payoutCommand } from './commands/payout.ts';
import { policyCommand } from './commands/policy.ts';
import { receiptCommand } from './commands/receipt.ts';
import { signerCommand } from './commands/signer.ts';
import { startCommand } from './commands/start.ts';
import { peersCommand, statusCommand } from './commands/status.ts';
import { tokenCommand } from './commands/token.ts';
import { validatorCommand } from './commands/validator.ts';
import { voteCommand } from './commands/vote.ts';
import { walletCommand } from './commands/wallet.ts';
import { VERSION } from './version.ts';

const program = new Command('mpbp')
  .description('Mobile Payment Blockchain Platform: run a node, pay, and check the record')
  .version(VERSION);
const commands = [
  devnetCommand(),
  keysCommand(),
  genesisCommand(),
  initCommand(),
  startCommand(),
  signerCommand(),
  statusCommand(),
  peersCommand(),
  configCommand(),
  abiCommand(),
  accessCommand(),
  memberCommand(),
  merchantCommand(),
  channelCommand(),
  orderCommand(),
  validatorCommand(),
  voteCommand(),
  walletCommand(),
  payCommand(),
  payoutCommand(),
  tokenCommand(),
  policyCommand(),
  feeCommand(),
  historyCommand(),
  receiptCommand(),
  auditCommand(),
  dbCommand(),
  doctorCommand(),
];
for (const command of commands) program.addCommand(command);
strict(program);

// Whoever reads has had enough, as `head` has: nothing more is to be said.
process.stdout.on('error', (error: Error & { code?: string }) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok);
  fail(error);
});

try {
  refuseSecrets(process.argv);
  await program.parseAsync();
} catch (error) {
  fail(error);
}

/** Excess arguments are mistakes; an error is thrown, so that this file chooses the exit code. */
function strict(command: Command): void {
  command.exitOverride().allowExcessArguments(false);
  command.showHelpAfterError('(mpbp --help, or mpbp COMMAND --help)');
  for (const option of command.options) {
    if (!option.variadic) refuseSecond(command, option);
  }
  for (const child of command.commands) strict(child);
}

/** An option that is given twice would be settled in silence, by the later one. */
function refuseSecond(command: Command, option: Option): void {
  let given = 0;
  command.on(`option:${option.name()}`, () => {
    if (++given > 1) throw new UserError(EXIT.usage, `${option.flags}: given more than once`);
  });
}

/** Arguments stand in every process list and in the shell's history. */
function refuseSecrets(argv: readonly string[]): void {
  const found = argv.find((text) => /^--(password|private-key|mnemonic|seed)(=|$)/.test(text));
  if (found === undefined) return;
  throw new UserError(
    EXIT.usage,
    `${found.split('=')[0]} is not an option: secrets are read from a file (--password-file), ` +
      'from MPBP_PASSWORD or from the terminal',
  );
}

/** Ends at once: a command that failed halfway may still hold files and sockets open. */
function fail(error: unknown): never {
  if (error instanceof CommanderError) {
    // Commander has printed; help and version are not mistakes.
    process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
  }
  if (error instanceof UserError) {
    process.stderr.write(`mpbp: ${error.message}\n`);
    process.exit(error.exitCode);
  }
  const { code, message } = error as { code?: string; message?: string };
  if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) {
    process.stderr.write(`mpbp: ${message}\n`);
    process.exit(code === 'EACCES' ? EXIT.permission : EXIT.io);
  }
  if (isDamage(error)) {
    process.stderr.write(`mpbp: damaged: ${message}; mend it with mpbp db resync\n`);
    process.exit(EXIT.badData);
  }
  const detail = error instanceof Error ? error.stack : String(error);
  process.stderr.write(`mpbp: internal error, please report it: ${detail}\n`);
  process.exit(EXIT.invariant);
}
