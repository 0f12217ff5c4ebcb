//! `carillon bind` and `carillon unbind`: a card to vfio-pci, and back to the kernel.

use carillon_cli::Failure;
use carillon_operator::{Applied, Found, OperateError, Plan, apply, plan_bind, plan_unbind};
use clap::Args;
use serde_json::json;

use crate::Context;
use crate::operator::CardArg;

/// Arguments of `bind`.
#[derive(Debug, Args)]
pub struct BindArgs {
    #[command(flatten)]
    card: CardArg,
    /// Give the device file of the card's IOMMU group to this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only print what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `unbind`.
#[derive(Debug, Args)]
pub struct UnbindArgs {
    #[command(flatten)]
    card: CardArg,
    /// Give the card to this driver [default: the one that the kernel chooses]
    #[arg(long, value_name = "DRIVER")]
    driver: Option<String>,
    /// Only print what would be done
    #[arg(long)]
    dry_run: bool,
}

/// Hands the card to vfio-pci.
pub fn bind(context: &Context, args: &BindArgs) -> Result<(), Failure> {
    let found = card(context, &args.card)?;
    let plan = plan_bind(&context.host, &found, args.user.as_deref())?;
    carry_out(context, "carillon.bind/1", &plan, args.dry_run)
}

/// Takes the card from vfio-pci.
pub fn unbind(context: &Context, args: &UnbindArgs) -> Result<(), Failure> {
    let found = card(context, &args.card)?;
    let plan = plan_unbind(&context.host, &found, args.driver.as_deref())?;
    carry_out(context, "carillon.unbind/1", &plan, args.dry_run)
}

fn card(context: &Context, arg: &CardArg) -> Result<Found, Failure> {
    let address = arg.choose(&context.host)?;
    let pci = address
        .pci()
        .ok_or(OperateError::NotPci { card: address })?;
    Ok(Found::one(&context.host, pci)?)
}

fn carry_out(context: &Context, schema: &str, plan: &Plan, dry_run: bool) -> Result<(), Failure> {
    let driver = if dry_run {
        plan.before.clone()
    } else {
        let Applied { driver } = apply(&context.host, plan)?;
        driver
    };
    let steps: Vec<_> = plan.steps.iter().map(ToString::to_string).collect();
    let named = |driver: &Option<String>| driver.clone().unwrap_or_else(|| "none".to_owned());
    let mut rows = vec![
        ("card", plan.address.to_string()),
        ("driver before", named(&plan.before)),
    ];
    let verb = if dry_run { "would do" } else { "done" };
    rows.extend(steps.iter().map(|step| (verb, step.clone())));
    if steps.is_empty() {
        rows.push((verb, "nothing: it is so already".to_owned()));
    }
    if !dry_run {
        rows.push(("driver now", named(&driver)));
    }
    let fields = json!({
        "card": plan.address.to_string(),
        "dry_run": dry_run,
        "driver_before": plan.before,
        "driver": driver,
        "steps": steps,
    });
    context.output.result(schema, fields, &rows);
    Ok(())
}
