// An app as its authors at Slack would write it: it runs a command, opens a form that first answers with an error,
// and hears a button and a legacy button. bolt_test.go drives it through the twin.
//
// Environment: SLACK_API_URL, SLACK_BOT_TOKEN, SLACK_APP_TOKEN, CHANNEL.
import bolt from '@slack/bolt';

const { App, LogLevel } = bolt;
const { SLACK_API_URL, SLACK_BOT_TOKEN, SLACK_APP_TOKEN, CHANNEL } = process.env;

const app = new App({
  token: SLACK_BOT_TOKEN,
  appToken: SLACK_APP_TOKEN,
  socketMode: true,
  logLevel: LogLevel.WARN,
  clientOptions: { slackApiUrl: SLACK_API_URL },
});

const plain = (text) => ({ type: 'plain_text', text });

app.command('/breakglass', async ({ command, ack, client, respond }) => {
  if (command.text === 'help') {
    await ack({ text: 'Ask for *access*' });
    await respond({ text: 'and wait', response_type: 'ephemeral' });
    return;
  }
  await ack();
  await client.views.open({
    trigger_id: command.trigger_id,
    view: {
      type: 'modal',
      callback_id: 'request',
      title: plain('Break glass'),
      submit: plain('Request'),
      close: plain('Cancel'),
      private_metadata: command.text,
      blocks: [
        {
          type: 'input',
          block_id: 'account',
          label: plain('Account'),
          element: { type: 'external_select', action_id: 'account', min_query_length: 0 },
        },
        {
          type: 'input',
          block_id: 'reason',
          label: plain('Reason'),
          element: { type: 'plain_text_input', action_id: 'reason', multiline: true },
        },
      ],
    },
  });
});

app.options('account', async ({ options, ack }) => {
  const names = ['prod-wealth', 'prod-cash', 'qa'].filter((n) => n.startsWith(options.value));
  await ack({ options: names.map((n) => ({ text: plain(n), value: `acct-${n}` })) });
});

app.view('request', async ({ ack, view, body, client }) => {
  const { values } = view.state;
  const reason = values.reason.reason.value;
  if (reason.length < 10) {
    await ack({ response_action: 'errors', errors: { reason: 'Say more.' } });
    return;
  }
  await ack();
  await client.chat.postMessage({
    channel: CHANNEL,
    text: 'A request',
    metadata: { event_type: 'request', event_payload: { id: 'BG-1' } },
    blocks: [
      {
        type: 'section',
        text: { type: 'mrkdwn', text: `<@${body.user.id}> asks for ${values.account.account.selected_option.value}: ${reason}` },
      },
      {
        type: 'actions',
        block_id: 'decide',
        elements: [
          { type: 'button', action_id: 'approve', style: 'primary', text: plain('Approve'), value: 'BG-1' },
          { type: 'button', action_id: 'deny', text: plain('Deny'), value: 'BG-1' },
        ],
      },
    ],
    attachments: [
      {
        callback_id: 'legacy',
        fallback: 'Break glass',
        actions: [{ name: 'open', type: 'button', text: 'Break Glass', value: 'prod', style: 'danger' }],
      },
    ],
  });
});

app.action('approve', async ({ ack, body, client }) => {
  await ack();
  await client.chat.update({
    channel: body.channel.id,
    ts: body.message.ts,
    text: 'Approved',
    blocks: [{ type: 'section', text: { type: 'mrkdwn', text: `Approved by <@${body.user.id}>` } }],
  });
});

app.action({ callback_id: 'legacy' }, async ({ ack, body, action, client }) => {
  await ack();
  await client.chat.postMessage({
    channel: body.channel.id,
    thread_ts: body.message_ts,
    text: `legacy ${action.name} ${action.value} by <@${body.user.id}>`,
  });
});

app.shortcut('from_message', async ({ ack, shortcut, client }) => {
  await ack();
  await client.chat.postMessage({ channel: shortcut.channel.id, thread_ts: shortcut.message.ts, text: `from: ${shortcut.message.text}` });
});

app.event('app_home_opened', async ({ event, client }) => {
  await client.views.publish({
    user_id: event.user,
    view: { type: 'home', blocks: [{ type: 'section', text: plain('Nothing is broken.') }] },
  });
});

app.error(async (error) => {
  console.error(error);
  process.exitCode = 1;
});

process.stdin.on('end', () => app.stop().then(() => process.exit())); // the test is over when its end of the pipe closes
process.stdin.resume();
await app.start();
console.log('ready');
