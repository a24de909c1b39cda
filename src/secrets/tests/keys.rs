//! Every known form of a key is refused, wherever it stands.

use serde_json::json;

use super::{look_through, refused, samples::samples};

/// Keys as their vendors make them: what the error calls them, and a template.
const KEYS: &[(&str, &str)] = &[
    ("OpenAI", "sk-{a20}T3BlbkFJ{a20}"),
    ("OpenAI", "sk-proj-{u74}T3BlbkFJ{u74}"),
    ("OpenAI", "sk-svcacct-{u74}T3BlbkFJ{u74}"),
    ("OpenAI", "sk-admin-{u58}T3BlbkFJ{u58}"),
    ("OpenAI-style", "sk-{x32}"),
    ("OpenAI-style", "sk-{a48}"),
    ("OpenAI-style", "sk-{u22}"),
    ("Anthropic", "sk-ant-api03-{u93}AA"),
    ("Anthropic", "sk-ant-admin01-{u93}AA"),
    ("Anthropic", "sk-ant-oat01-{u93}AA"),
    ("OpenRouter", "sk-or-v1-{x64}"),
    ("Langfuse", "sk-lf-{x8}-{x4}-{x4}-{x4}-{x12}"),
    ("ElevenLabs", "sk_{x48}"),
    ("begins with sk_", "sk_{u43}"),
    ("Google API", "AIzaSy{u33}"),
    ("Gemini", "AQ.Ab8RN6{u44}"),
    ("Google OAuth access", "ya29.a0{u160}"),
    ("Google OAuth client", "GOCSPX-{u28}"),
    ("Google OAuth refresh", "1//0{u100}"),
    ("xAI", "xai-{a80}"),
    ("Groq", "gsk_{a52}"),
    ("Cerebras", "csk-{n48}"),
    ("Hugging Face token", "hf_{a34}"),
    ("Hugging Face org", "api_org_{a34}"),
    ("Replicate", "r8_{a37}"),
    ("Perplexity", "pplx-{a48}"),
    ("NVIDIA", "nvapi-{u64}"),
    ("Fireworks", "fw_{a22}"),
    ("Together", "tgp_v1_{u43}"),
    ("Zhipu", "{x32}.{a16}"),
    ("RunPod", "rpa_{N42}"),
    ("Modal", "as-{a22}"),
    ("Jina", "jina_{x32}{u28}"),
    ("Voyage", "pa-{u43}"),
    ("Pinecone", "pcsk_{a6}_{a63}"),
    ("Tavily", "tvly-dev-{a32}"),
    ("Tavily", "tvly-{a32}"),
    ("Firecrawl", "fc-{x32}"),
    ("E2B", "e2b_{x40}"),
    ("LangSmith", "lsv2_pt_{x32}_{x10}"),
    ("LangSmith", "lsv2_sk_{x32}_{x10}"),
    ("Vercel AI", "vck_{a56}"),
    ("Mem0", "m0-{a40}"),
    ("Notion", "ntn_{d11}{a35}"),
    ("Notion", "secret_{a43}"),
    ("Apify", "apify_api_{a36}"),
    ("Sourcegraph", "sgp_{x16}_{x40}"),
    ("PostHog", "phx_{a43}"),
    ("this service", "crk_{d3}_{a49}"),
    ("AWS access", "AKIA{N16}"),
    ("AWS access", "ASIA{N16}"),
    ("AWS access", "A3TX{N16}"),
    ("Bedrock", "ABSK{b120}"),
    ("AWS secret", "aws_secret_access_key = {b40}"),
    (
        "Azure storage",
        "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={b86}==",
    ),
    (
        "Azure shared",
        "Endpoint=sb://x.servicebus.windows.net/;SharedAccessKey={b43}=",
    ),
    ("Azure client", "{a3}8Q~{a34}"),
    ("Azure AI", "{a52}JQQJ99{a26}"),
    (
        "Azure function",
        "https://app.azurewebsites.net/api/run?code={u54}==",
    ),
    ("Alibaba", "LTAI5t{a18}"),
    ("Tencent", "AKID{a32}"),
    ("Databricks", "dapi{x32}"),
    ("DigitalOcean", "dop_v1_{x64}"),
    ("Cloudflare", "cfut_{a40}{x8}"),
    ("Heroku", "HRKU-AA{u58}"),
    ("Fly.io", "fm2_{b120}"),
    ("Fly.io", "fo1_{u43}"),
    ("Render", "rnd_{a28}"),
    ("Netlify", "nfp_{a36}"),
    ("Neon", "napi_{n64}"),
    ("Supabase access", "sbp_{x40}"),
    ("Supabase secret", "sb_secret_{u31}"),
    ("PlanetScale", "pscale_tkn_{u43}"),
    ("1Password service", "ops_eyJ{b300}"),
    ("1Password secret", "A3-{N6}-{N6}-{N5}-{N5}-{N5}-{N5}"),
    ("Vault", "hvs.{u95}"),
    ("Terraform", "{a14}.atlasv1.{u67}"),
    ("Pulumi", "pul-{x40}"),
    ("Doppler", "dp.pt.{a43}"),
    ("Prefect", "pnu_{a36}"),
    ("Tailscale", "tskey-auth-k{a16}-{a32}"),
    ("OpenShift", "sha256~{u43}"),
    ("GitHub", "ghp_{a36}"),
    ("GitHub", "gho_{a36}"),
    ("GitHub", "ghu_{a36}"),
    ("GitHub", "ghs_{a36}"),
    ("GitHub", "ghr_{a76}"),
    ("GitHub", "github_pat_{a22}_{a59}"),
    ("GitLab token", "glpat-{u20}"),
    ("GitLab token", "gldt-{u20}"),
    ("GitLab token", "glrt-{u20}"),
    ("GitLab trigger", "glptt-{x40}"),
    ("Bitbucket", "ATBB{a32}"),
    ("Atlassian", "ATATT3xFfGF0{u180}={X8}"),
    ("npm", "npm_{a36}"),
    ("PyPI", "pypi-AgEIcHlwaS5vcmc{u150}"),
    ("RubyGems", "rubygems_{x48}"),
    ("NuGet", "oy2{n43}"),
    ("crates.io", "cio{a32}"),
    ("Docker", "dckr_pat_{u27}"),
    ("Artifactory", "AKCp{a69}"),
    ("CircleCI", "CCIPAT_{a22}_{x40}"),
    ("Buildkite", "bkua_{n40}"),
    ("SonarQube", "squ_{x40}"),
    ("Sentry", "sntryu_{x64}"),
    ("Sentry", "sntrys_eyJ{b150}_{b43}"),
    ("Grafana token", "glsa_{a32}_{x8}"),
    ("Grafana Cloud", "glc_eyJ{b100}"),
    ("Dynatrace", "dt0c01.{N24}.{N64}"),
    ("New Relic user", "NRAK-{N27}"),
    ("New Relic license", "{x32}FFFFNRAL"),
    ("Postman", "PMAK-{x24}-{x34}"),
    ("ReadMe", "rdme_{n70}"),
    ("Harness", "pat.{a22}.{a24}.{a20}"),
    ("LaunchDarkly", "sdk-{x8}-{x4}-4{x3}-{x4}-{x12}"),
    ("Slack token", "xoxb-{d12}-{d12}-{a24}"),
    ("Slack token", "xoxp-{d12}-{d12}-{d12}-{x32}"),
    ("Slack token", "xoxe.xoxp-1-{N163}"),
    ("Slack token", "xapp-1-A{N10}-{d13}-{x64}"),
    (
        "Slack webhook",
        "https://hooks.slack.com/services/T{N8}/B{N10}/{a24}",
    ),
    (
        "Discord webhook",
        "https://discord.com/api/webhooks/{d18}/{u68}",
    ),
    ("Discord bot", "M{a23}.{u6}.{u27}"),
    ("Discord bot", "N{a25}.{u6}.{u38}"),
    (
        "Teams",
        "https://x.webhook.office.com/webhookb2/{x8}-{x4}-{x4}-{x4}-{x12}@{x8}-{x4}-{x4}-{x4}-{x12}/IncomingWebhook/{x32}/{x8}",
    ),
    ("Zapier", "https://hooks.zapier.com/hooks/catch/{d7}/{n7}/"),
    ("Telegram", "{d10}:AA{u33}"),
    ("Telegram", "{d9}:AA{u33}"),
    ("Linear", "lin_api_{a40}"),
    ("Airtable", "pat{a14}.{x64}"),
    ("Figma", "figd_{u40}"),
    ("Dropbox", "sl.u.{u140}"),
    ("HubSpot", "pat-na1-{x8}-{x4}-{x4}-{x4}-{x12}"),
    ("ClickUp", "pk_{d8}_{N32}"),
    ("Contentful", "CFPAT-{u43}"),
    ("Typeform", "tfp_{u44}"),
    ("Salesforce", "00D{a12}!{a96}"),
    ("Zoho", "1000.{x32}.{x32}"),
    ("SendGrid", "SG.{u22}.{u43}"),
    ("Resend", "re_{a8}_{a24}"),
    ("Brevo", "xkeysib-{x64}-{a16}"),
    ("Mailgun", "key-{x32}"),
    ("Mailchimp", "{x32}-us{d2}"),
    ("Twilio", "SK{x32}"),
    ("Klaviyo", "pk_{x34}"),
    ("Facebook access", "EAAG{a180}"),
    ("Facebook app", "{d16}|{u27}"),
    ("Mapbox", "sk.eyJ{a80}.{u22}"),
    ("Klaviyo", "pk_{a6}_{x34}"),
    ("Stripe", "sk_live_{a24}"),
    ("Stripe", "sk_test_{a99}"),
    ("Stripe", "rk_live_{a24}"),
    ("Stripe", "pk_live_{a24}"),
    ("webhook signing", "whsec_{b32}"),
    ("Square credential", "sq0atp-{u22}"),
    ("Square credential", "sq0csp-{u43}"),
    ("Square access", "EAAA{u59}A"),
    ("Shopify", "shpat_{x32}"),
    ("Shopify", "shpss_{x32}"),
    ("Plaid", "access-production-{x8}-{x4}-{x4}-{x4}-{x12}"),
    ("Braintree", "access_token$production${n16}${x32}"),
    ("Razorpay", "rzp_live_{a14}"),
    ("Flutterwave", "FLWSECK_TEST-{x32}-X"),
    ("EasyPost", "EZAK{a54}"),
    ("Shippo", "shippo_live_{x40}"),
    ("JSON Web Token", "eyJ{u33}.eyJ{u60}.{u43}"),
    (
        "private key",
        "-----BEGIN PRIVATE KEY-----\n{b64}\n{b64}\n-----END PRIVATE KEY-----",
    ),
    (
        "private key",
        "-----BEGIN RSA PRIVATE KEY-----\\n{b64}\\n{b64}\\n-----END RSA PRIVATE KEY-----",
    ),
    (
        "private key",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{X32}\n\n{b64}\n",
    ),
    (
        "private key",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW\n{b64}\n",
    ),
    (
        "private key",
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{b64}\n{b64}\n",
    ),
    ("age", "AGE-SECRET-KEY-1{N58}"),
    (
        "presigned",
        "https://x.s3.amazonaws.com/a.pdf?X-Amz-Date=20260101T000000Z&X-Amz-Signature={x64}",
    ),
    (
        "URL with a password",
        "postgres://app:{a12}@db.internal:5432/app",
    ),
    (
        "URL with a password",
        "mongodb+srv://app:{a16}@c0.mongodb.net/app",
    ),
    (
        "URL with a password",
        "https://ada:{u20}@git.example/acme/app.git",
    ),
];

#[test]
fn keys_of_a_known_form_are_refused_wherever_they_stand() {
    let mut missed = Vec::new();
    for (kind, template) in KEYS {
        for key in samples(template) {
            let body = json!({
                "base_prompt": key,
                "content": format!("The key is \"{key}\".\nKeep it."),
                "metadata": {"note": [format!("key={key}")]},
            });
            let found = look_through(&body).refused;
            let found = found.listed();
            let is_kind = found.iter().all(|error| error.detail.contains(kind));
            if refused(&body) != ["#/base_prompt", "#/content", "#/metadata/note/0"] || !is_kind {
                missed.push(format!("{kind}: {key}: {found:?}"));
            }
            assert!(!format!("{found:?}").contains(&key), "{key}");
        }
    }
    assert!(
        missed.is_empty(),
        "{} missed:\n{}",
        missed.len(),
        missed.join("\n")
    );
}

/// Keys without a form of their own are secrets by the names they stand under.
#[test]
fn keys_of_no_known_form_are_refused_by_their_name() {
    for template in [
        "{x32}",
        "{a32}",
        "{x64}",
        "{a40}",
        "{n24}",
        "{x8}-{x4}-{x4}-{x4}-{x12}",
    ] {
        for name in [
            "api_key",
            "x-api-key",
            "apiKey",
            "Authorization",
            "token",
            "MISTRAL_API_KEY",
        ] {
            for key in samples(template) {
                let body = json!({"config": {"headers": {name: key}}});
                assert_eq!(
                    refused(&body),
                    [format!("#/config/headers/{name}")],
                    "{key}"
                );
                let body = json!({"tool_calls": [{"headers": {name: format!("Bearer {key}")}}]});
                assert_eq!(refused(&body).len(), 1, "{name}: {key}");
            }
        }
    }
}
