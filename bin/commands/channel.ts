import { Command } from 'commander';
import {
  connectionCommand,
  heartbeatCommand,
  proveKeyCommand,
  registerChannelCommand,
  rotateKeyCommand,
  showChannelCommand,
  statusChannelCommand,
} from './sales/channels.ts';

export function channelCommand(): Command {
  return new Command('channel')
    .description('a rail outside of the ledger, such as a card network: its keys, its connection')
    .addCommand(registerChannelCommand())
    .addCommand(showChannelCommand())
    .addCommand(statusChannelCommand())
    .addCommand(connectionCommand())
    .addCommand(proveKeyCommand())
    .addCommand(rotateKeyCommand())
    .addCommand(heartbeatCommand());
}
