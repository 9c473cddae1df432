// The augmentation of a recipe: augment = ["mirror", ...], or augment.steps with a section augment.STEP for each step's fields.
#pragma once

#include "fovea/train.h"

namespace fovea {

/// Whether a key lists the steps: it counts before the keys of their fields.
[[nodiscard]] bool names_augment_steps(std::string_view key);
/// False when the key is none of augmentation's. Throws ArgumentError for a step that is not listed and an unknown field, naming the nearest.
bool set_augment(Augment& augment, const std::string& key, const RecipeValue& value);
[[nodiscard]] std::vector<std::string> augment_keys();
/// check(), and that no step stands twice: keys go by name.
void check_augment(const Augment& augment);
[[nodiscard]] std::string augment_toml(const Augment& augment);

}  // namespace fovea
