// The keys of a recipe: the one list that reading, overriding and writing share.
#pragma once

#include "fovea/train.h"

namespace fovea {

/// visit(key, field) for every key with a field of its own; those of a section follow each other, keys without a section come first.
template <class R, class Visit> void visit_recipe(R& r, Visit&& visit) {
    visit("about", r.about);
    visit("for_models", r.for_models);
    visit("for_channels", r.for_channels);
    visit("model", r.model);
    visit("data", r.data);
    visit("validation", r.validation);
    visit("val_split", r.val_split);
    visit("weights", r.weights);
    visit("weights_map", r.weights_map);
    visit("init", r.init);
    visit("whiten", r.whiten);
    visit("normalise", r.normalise);
    visit("epochs", r.epochs);
    visit("batch", r.batch);
    visit("drop_last", r.drop_last);
    visit("per_class", r.per_class);
    visit("balanced", r.balanced);
    visit("draft", r.draft);
    visit("repeats", r.repeats);
    visit("sync_batch_norm", r.sync_batch_norm);
    visit("seed", r.seed);
    visit("accumulate", r.step.accumulate);
    visit("loss", r.loss);
    visit("label_smoothing", r.label_smoothing);
    visit("clip_norm", r.step.clip_norm);
    visit("clip_value", r.step.clip_value);
    visit("decay_norms_and_biases", r.step.decay_norms_and_biases);
    visit("no_decay", r.step.no_decay);
    visit("freeze", r.step.frozen);
    visit("precision", r.precision);
    visit("backend", r.backend);
    visit("metric", r.metric);
    visit("patience", r.patience);
    visit("min_delta", r.min_delta);
    visit("time_budget_minutes", r.time_budget_minutes);
    visit("probe", r.probe);
    visit("network.dropout", r.dropout);
    visit("network.drop_path", r.drop_path);
    visit("network.width_multiplier", r.width_multiplier);
    visit("network.shortcut", r.shortcut);
    visit("network.channels", r.channels);
    visit("optimizer.name", r.optimizer);
    visit("schedule.name", r.schedule);
    visit("average.ema", r.step.ema);
    visit("average.swa_from", r.swa_from);
    visit("lookahead.every", r.step.lookahead_every);
    visit("lookahead.alpha", r.step.lookahead_alpha);
}

}  // namespace fovea
